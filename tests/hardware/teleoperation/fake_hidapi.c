/* A libhidapi with one SpaceMouse Compact (256f:c635) whose reports come through the FIFO
   $SERLDS_FAKE_HID: records of 16 bytes, the length of a report and the report; 255 unplugs it. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

struct hid_device_info {
  char *path;
  unsigned short vendor_id, product_id;
  wchar_t *serial_number;
  unsigned short release_number;
  wchar_t *manufacturer_string, *product_string;
  unsigned short usage_page, usage;
  int interface_number;
  struct hid_device_info *next;
};
typedef struct { int fd, nonblocking; } hid_device;

int hid_init(void) { return 0; }
int hid_exit(void) { return 0; }

struct hid_device_info *hid_enumerate(unsigned short vendor, unsigned short product) {
  const char *path = getenv("SERLDS_FAKE_HID");
  if (!path || (vendor && vendor != 0x256f) || (product && product != 0xc635)) return NULL;
  struct hid_device_info *info = calloc(1, sizeof *info);
  info->path = strdup(path);
  info->vendor_id = 0x256f;
  info->product_id = 0xc635;
  info->serial_number = wcsdup(L"0");
  info->manufacturer_string = wcsdup(L"3Dconnexion");
  info->product_string = wcsdup(L"SpaceMouse Compact");
  info->usage_page = 1;
  info->usage = 8;
  return info;
}
void hid_free_enumeration(struct hid_device_info *info) { (void)info; }

hid_device *hid_open_path(const char *path) {
  int fd = open(path, O_RDWR | O_NONBLOCK);
  if (fd < 0) return NULL;
  hid_device *device = calloc(1, sizeof *device);
  device->fd = fd;
  return device;
}
hid_device *hid_open(unsigned short vendor, unsigned short product, const wchar_t *serial) {
  (void)vendor, (void)product, (void)serial;
  const char *path = getenv("SERLDS_FAKE_HID");
  return path ? hid_open_path(path) : NULL;
}
int hid_read_timeout(hid_device *device, unsigned char *data, size_t length, int timeout_ms) {
  unsigned char record[16];
  struct pollfd waiting = {device->fd, POLLIN, 0};
  if (poll(&waiting, 1, timeout_ms) <= 0 || read(device->fd, record, 16) != 16) return 0;
  if (record[0] == 255) return -1;
  if (record[0] < length) length = record[0];
  memcpy(data, record + 1, length);
  return (int)length;
}
int hid_read(hid_device *device, unsigned char *data, size_t length) {
  return hid_read_timeout(device, data, length, device->nonblocking ? 0 : -1);
}
int hid_set_nonblocking(hid_device *device, int nonblocking) {
  device->nonblocking = nonblocking;
  return 0;
}
int hid_write(hid_device *d, const unsigned char *data, size_t n) { (void)d, (void)data; return (int)n; }
int hid_send_feature_report(hid_device *d, const unsigned char *data, size_t n) { return hid_write(d, data, n); }
int hid_get_feature_report(hid_device *d, unsigned char *data, size_t n) { (void)d, (void)data, (void)n; return -1; }
void hid_close(hid_device *device) { close(device->fd); free(device); }
static int text(wchar_t *out, size_t n, const wchar_t *value) { wcsncpy(out, value, n); return 0; }
int hid_get_manufacturer_string(hid_device *d, wchar_t *s, size_t n) { (void)d; return text(s, n, L"3Dconnexion"); }
int hid_get_product_string(hid_device *d, wchar_t *s, size_t n) { (void)d; return text(s, n, L"SpaceMouse Compact"); }
int hid_get_serial_number_string(hid_device *d, wchar_t *s, size_t n) { (void)d; return text(s, n, L"0"); }
int hid_get_indexed_string(hid_device *d, int i, wchar_t *s, size_t n) { (void)d, (void)i; return text(s, n, L""); }
const wchar_t *hid_error(hid_device *d) { (void)d; return L"unplugged"; }
