"""A Trossen controller that can go wrong: the simulated one with all modes, faults and a bad wire.

`python trossen_controller.py HOST` serves one arm. It reads a JSON object of settings a line from
standard input and answers `ok`:

  freeze: true           answers nothing any more, as with a pulled cable
  loss: 0.2              part of the datagrams that get lost
  delay_s: 0.01          each answer comes so much later
  fault: "JOINT_LIMIT_EXCEEDED"
  hand: [6 rad, 1 m]     a hand draws joints and handle there, where no servo holds them; null: none
  report: true           answers {"modes": [...], "joints": [...]} instead of ok

Beside position mode, which the package simulates, it has velocity, effort and external effort. As
the real controller does (documentation of its errors 15 and 16), it faults on targets that are not
finite or outside a joint's range. Its errors stay until the driver clears them.
"""

import contextlib
import json
import random
import socket
import sys
import time

import mujoco
import numpy as np
from trossen_arm_sim import TrossenArmSimServer, WidowXSim
from trossen_arm_sim.protocol import ErrorState, JointOutput, Mode, UDPCommand, parse_robot_input

_EFFORTS = (Mode.EFFORT, Mode.EXTERNAL_EFFORT)
_TOLERANCE = 0.01
_HAND = (40.0,) * 6 + (400.0,)


class Arm(WidowXSim):
    """The simulated arm with all modes: without its servo a joint floats, since gravity is off."""

    def __init__(self):
        super().__init__()
        self._gain = self.model.actuator_gainprm[self._actuator_ids, 0].copy()
        self._bias = self.model.actuator_biasprm[self._actuator_ids].copy()
        self._modes = [Mode.IDLE] * self.num_joints
        self._wish = np.zeros(self.num_joints)
        self.hand = None
        self.add_step_hook(self._drive)

    def _drive(self):
        for joint, mode in enumerate(self._modes):
            effort = self._wish[joint] if mode in _EFFORTS else 0.0
            if mode in _EFFORTS and self.hand is not None:
                effort += self._pull(joint)
            self.data.qfrc_applied[self._qvel_addr[joint]] = effort
            if mode == Mode.VELOCITY:
                step = self._wish[joint] * self.model.opt.timestep
                self.data.ctrl[self._actuator_ids[joint]] += step

    def _pull(self, joint):
        away = self.hand[joint] - self.data.qpos[self._qpos_addr[joint]]
        damping = 0.1 * self.data.qvel[self._qvel_addr[joint]]
        return np.clip(_HAND[joint] * (away - damping), -15.0, 15.0)

    def obey(self, inputs):
        with self._lock:
            for joint, wanted in enumerate(inputs):
                actuator = self._actuator_ids[joint]
                if wanted.mode != self._modes[joint]:
                    self._switch(joint, wanted.mode)
                if wanted.mode == Mode.POSITION:
                    self.data.ctrl[actuator] = np.clip(
                        wanted.position, *self.model.actuator_ctrlrange[actuator]
                    )
                elif wanted.mode == Mode.VELOCITY:
                    self._wish[joint] = wanted.velocity
                elif wanted.mode in _EFFORTS:
                    self._wish[joint] = wanted.effort

    def _switch(self, joint, mode):
        servo = mode not in _EFFORTS
        actuator = self._actuator_ids[joint]
        self.model.actuator_gainprm[actuator, 0] = self._gain[joint] if servo else 0.0
        self.model.actuator_biasprm[actuator] = self._bias[joint] if servo else 0.0
        self.data.ctrl[actuator] = self.data.qpos[self._qpos_addr[joint]]
        self._modes[joint], self._wish[joint] = mode, 0.0

    def read_joint_outputs(self):
        with self._lock:
            touched = self.data.qfrc_constraint[self._qvel_addr].tolist()
        outputs = super().read_joint_outputs()
        return [
            JointOutput(output.position, output.velocity, output.effort, external)
            for output, external in zip(outputs, touched, strict=True)
        ]


class Controller(TrossenArmSimServer):
    """The simulated controller with faults that stay and a wire that can be bad."""

    freeze, loss, delay_s = False, 0.0, 0.0

    def _handle_tcp_request(self, request):
        while self.freeze:
            time.sleep(0.01)
        error, reason = self.error_state, self.fault_reason
        response = super()._handle_tcp_request(request)
        if request[0] == 0 and error != ErrorState.NONE:  # a handshake clears nothing in reality
            self.error_state, self.fault_reason = error, reason
            response = bytes([error]) + response[1:]
        return response

    def _udp_loop(self):
        while self._running:
            datagram, address = self._udp_socket.recvfrom(4096)
            with contextlib.suppress(BlockingIOError):  # the newest: the driver gave up the others
                while True:
                    datagram, address = self._udp_socket.recvfrom(4096, socket.MSG_DONTWAIT)
            if self.freeze or random.random() < self.loss:
                continue
            if self.delay_s:
                time.sleep(self.delay_s)
            if UDPCommand(datagram[0]) == UDPCommand.SET_ROBOT_INPUT:
                self._obey(parse_robot_input(datagram[1:], self.num_joints))
            self._udp_socket.sendto(self._pack_output(), address)
            self._pace_cycle()

    def _obey(self, inputs):
        numbers = [(wanted.position, wanted.velocity, wanted.effort) for wanted in inputs]
        if not np.isfinite(numbers).all():
            self.fault(ErrorState.ROBOT_INPUT_INFINITE, "a target is not finite")
        for joint, (wanted, (low, high)) in enumerate(
            zip(inputs, self.sim.joint_limits, strict=True)
        ):
            if wanted.mode == Mode.POSITION and not (
                low - _TOLERANCE <= wanted.position <= high + _TOLERANCE
            ):
                self.fault(ErrorState.JOINT_LIMIT_EXCEEDED, f"joint {joint}: {wanted.position}")
        if self.error_state == ErrorState.NONE:
            self.sim.obey(inputs)


def main():
    arm = Arm()
    home = [0.0, 1.25, 0.95, -1.27, 0.0, 0.0, 0.02]
    arm.data.qpos[arm._qpos_addr] = home
    arm.data.ctrl[arm._actuator_ids] = home
    mujoco.mj_forward(arm.model, arm.data)
    arm.start()
    controller = Controller(arm, host=sys.argv[1])
    controller.start()
    print("ready", flush=True)
    for line in sys.stdin:
        answer = "ok"
        for name, value in json.loads(line).items():
            if name == "fault":
                controller.fault(ErrorState[value], f"told to: {value}")
            elif name == "report":
                joints = arm.data.qpos[arm._qpos_addr].tolist()
                modes = [mode.name for mode in controller.modes]
                answer = json.dumps({"modes": modes, "joints": joints})
            elif name == "hand":
                arm.hand = value
            else:
                setattr(controller, name, value)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
