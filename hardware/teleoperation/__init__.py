"""What people steer with: keyboards and other devices."""
