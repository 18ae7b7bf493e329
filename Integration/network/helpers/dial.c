// What a program in a sandbox can try on its network; one static program, one subcommand per try. Prints ok, or the error's name.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int say(long result) {
  if (result >= 0) return puts("ok"), 0;
  const char *name = strerrorname_np(errno);
  return puts(name ? name : "unknown"), 0;
}

static int fail(int error) {
  errno = error;
  return say(-1);
}

static socklen_t address(const char *text, int port, struct sockaddr_storage *out) {
  struct sockaddr_in *v4 = (void *)out;
  struct sockaddr_in6 *v6 = (void *)out;
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return sizeof *v4;
  }
  if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) exit(2);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  return sizeof *v6;
}

static int readable(int fd, int milliseconds) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, milliseconds) == 1;
}

// tcp ADDRESS PORT [SOURCE-PORT]
static int tcp(char **a, int type, int protocol) {
  struct sockaddr_storage to;
  socklen_t length = address(a[0], atoi(a[1]), &to);
  int fd = socket(to.ss_family, type | SOCK_NONBLOCK, protocol);
  if (fd < 0) return say(-1);
  if (a[2]) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(atoi(a[2]))};
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&from, sizeof from) < 0) return say(-1);
  }
  if (connect(fd, (void *)&to, length) < 0 && errno != EINPROGRESS) return say(-1);
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  if (poll(&p, 1, 1500) != 1) return fail(ETIMEDOUT);
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  close(fd);
  return error ? fail(error) : say(0);
}

// udp ADDRESS PORT [SIZE]: sends, and waits for an echo.
static int udp(char **a) {
  static char data[60000];
  struct sockaddr_storage to;
  socklen_t length = address(a[0], atoi(a[1]), &to);
  int fd = socket(to.ss_family, SOCK_DGRAM, 0);
  size_t size = a[2] ? atoi(a[2]) : 5;
  if (sendto(fd, data, size, 0, (void *)&to, length) < 0) return say(-1);
  if (!readable(fd, 800)) return fail(ETIMEDOUT);
  return say(recv(fd, data, sizeof data, 0));
}

// batch: lines of `tcp ADDRESS PORT` or `udp ADDRESS PORT` on standard input, an answer each. All are tried at the same time, for the
// kernel limits how many refusals it sends in one moment, and repeats what was not answered. A datagram only has to leave.
static int batch(void) {
  enum { MOST = 1000 };
  static struct pollfd sockets[MOST];
  static int errors[MOST];
  char kind[8], host[64], port[8];
  int count = 0;
  for (; count < MOST && scanf("%7s %63s %7s", kind, host, port) == 3; count++) {
    struct sockaddr_storage to;
    socklen_t length = address(host, atoi(port), &to);
    int is_tcp = strcmp(kind, "tcp") == 0;
    int fd = socket(to.ss_family, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
    int failed = is_tcp ? connect(fd, (void *)&to, length) < 0 && errno != EINPROGRESS
                        : sendto(fd, "x", 1, 0, (void *)&to, length) < 0;
    errors[count] = failed ? errno : 0;
    sockets[count] = (struct pollfd){.fd = is_tcp && !failed ? fd : -1, .events = POLLOUT};
    if (sockets[count].fd < 0) close(fd);
  }
  for (int i = 0; i < count; i++) {
    if (sockets[i].fd >= 0) {
      socklen_t size = sizeof errors[i];
      errors[i] = ETIMEDOUT;
      if (poll(sockets + i, 1, 5000) == 1) getsockopt(sockets[i].fd, SOL_SOCKET, SO_ERROR, errors + i, &size);
    }
    if (errors[i])
      fail(errors[i]);
    else
      say(0);
  }
  return 0;
}

static uint16_t sum(const void *data, size_t size) {
  const uint8_t *p = data;
  uint32_t total = 0;
  for (size_t i = 0; i + 1 < size; i += 2) total += p[i] << 8 | p[i + 1];
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return htons(~total);
}

// icmp ADDRESS: an echo request by a raw socket.
static int icmp(char **a) {
  struct sockaddr_storage to;
  socklen_t length = address(a[0], 0, &to);
  int is_v4 = to.ss_family == AF_INET;
  int fd = socket(to.ss_family, SOCK_RAW, is_v4 ? 1 : 58);
  if (fd < 0) return say(-1);
  uint8_t packet[16] = {is_v4 ? 8 : 128, 0, 0, 0, 0x12, 0x34};
  if (is_v4) *(uint16_t *)(packet + 2) = sum(packet, sizeof packet);
  if (sendto(fd, packet, sizeof packet, 0, (void *)&to, length) < 0) return say(-1);
  uint8_t reply[128];
  while (readable(fd, 800)) {
    ssize_t n = recv(fd, reply, sizeof reply, 0);
    if (n > 0 && reply[is_v4 ? 20 : 0] == (is_v4 ? 0 : 129)) return say(0);
  }
  return fail(ETIMEDOUT);
}

// An IPv4 packet, UDP with five bytes or TCP with SYN.
static size_t forge(uint8_t *out, const char *from, const char *to, int protocol, int source_port, int port) {
  struct iphdr *ip = (void *)out;
  size_t body = protocol == 17 ? 8 + 5 : 20;
  memset(out, 0, 20 + body);
  *ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol, .tot_len = htons(20 + body)};
  inet_pton(AF_INET, from, &ip->saddr);
  inet_pton(AF_INET, to, &ip->daddr);
  ip->check = sum(ip, 20);
  uint8_t *l4 = out + 20;
  ((uint16_t *)l4)[0] = htons(source_port);
  ((uint16_t *)l4)[1] = htons(port);
  if (protocol == 17) {
    ((uint16_t *)l4)[2] = htons(body);
    memcpy(l4 + 8, "forge", 5);
  } else {
    struct tcphdr *tcp = (void *)l4;
    tcp->doff = 5;
    tcp->syn = 1;
    tcp->window = htons(1000);
    uint8_t pseudo[12 + 20];
    memcpy(pseudo, &ip->saddr, 8);
    pseudo[8] = 0, pseudo[9] = 6, pseudo[10] = 0, pseudo[11] = 20;
    memcpy(pseudo + 12, l4, 20);
    tcp->check = sum(pseudo, sizeof pseudo);
  }
  return 20 + body;
}

// rawip FROM TO PROTOCOL SOURCE-PORT PORT: an IP packet with a header of our own making.
static int rawip(char **a) {
  uint8_t packet[128];
  size_t size = forge(packet, a[0], a[1], atoi(a[2]), atoi(a[3]), atoi(a[4]));
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) return say(-1);
  struct sockaddr_in to = {.sin_family = AF_INET};
  inet_pton(AF_INET, a[1], &to.sin_addr);
  return say(sendto(fd, packet, size, 0, (void *)&to, sizeof to));
}

// frame DEVICE GATEWAY-MAC FROM TO PROTOCOL SOURCE-PORT PORT: an Ethernet frame, past the filters of the namespace.
static int frame(char **a) {
  uint8_t data[14 + 128] = {0};
  sscanf(a[1], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", data, data + 1, data + 2, data + 3, data + 4, data + 5);
  data[12] = 0x08;
  size_t size = 14 + forge(data + 14, a[2], a[3], atoi(a[4]), atoi(a[5]), atoi(a[6]));
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  if (fd < 0) return say(-1);
  int one = 1;
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(a[0]), .sll_halen = 6};
  return say(sendto(fd, data, size, 0, (void *)&to, sizeof to));
}

// abstract NAME: connects to an abstract socket.
static int abstract(char **a) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  memcpy(to.sun_path + 1, a[0], strlen(a[0]));
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return say(connect(fd, (void *)&to, sizeof(sa_family_t) + 1 + strlen(a[0])));
}

static int netlink(int bus, void *request, size_t size) {
  int fd = socket(AF_NETLINK, SOCK_RAW, bus);
  if (fd < 0) return say(-1);
  if (send(fd, request, size, 0) < 0) return say(-1);
  char reply[8192];
  if (!readable(fd, 500)) return fail(ETIMEDOUT);
  ssize_t n = recv(fd, reply, sizeof reply, 0);
  struct nlmsghdr *h = (void *)reply;
  if (n < 0) return say(-1);
  if (h->nlmsg_type != NLMSG_ERROR) return say(0);
  int error = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
  return error ? fail(error) : say(0);
}

// unfence: deletes the table that holds the sandbox.
static int unfence(void) {
  struct {
    struct nlmsghdr begin;
    struct nfgenmsg b;
    struct nlmsghdr h;
    struct nfgenmsg g;
    struct nlattr name;
    char text[12];
    struct nlmsghdr end;
    struct nfgenmsg e;
  } r = {
      .begin = {20, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 1, 0}, .b = {.res_id = htons(NFNL_SUBSYS_NFTABLES)},
      .h = {36, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, NLM_F_REQUEST | NLM_F_ACK, 2, 0},
      .g = {.nfgen_family = 1}, .name = {14, NFTA_TABLE_NAME}, .text = "nemoshell",
      .end = {20, NFNL_MSG_BATCH_END, NLM_F_REQUEST, 3, 0}, .e = {.res_id = htons(NFNL_SUBSYS_NFTABLES)},
  };
  return netlink(NETLINK_NETFILTER, &r, sizeof r);
}

// down DEVICE
static int down(char **a) {
  struct {
    struct nlmsghdr h;
    struct ifinfomsg m;
  } r = {{32, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0}, {.ifi_index = if_nametoindex(a[0]), .ifi_change = IFF_UP}};
  return netlink(NETLINK_ROUTE, &r, sizeof r);
}

// device: makes a dummy-like device of its own (a second veth pair).
static int device(void) {
  struct {
    struct nlmsghdr h;
    struct ifinfomsg m;
    struct nlattr info, kind;
    char text[4];
  } r = {.h = {sizeof r, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 1, 0},
         .info = {12, IFLA_LINKINFO}, .kind = {8, IFLA_INFO_KIND}, .text = "veth"};
  return netlink(NETLINK_ROUTE, &r, sizeof r);
}

// join PATH: enters another network namespace.
static int join(char **a) {
  int fd = open(a[0], O_RDONLY);
  return fd < 0 ? say(-1) : say(setns(fd, CLONE_NEWNET));
}

// escape FLAGS ADDRESS PORT: new namespaces (numbers of CLONE_NEW*), then connects.
static int escape(char **a) {
  if (unshare(strtol(a[0], NULL, 0)) < 0) return say(-1);
  return tcp(a + 1, SOCK_STREAM, 0);
}

// write PATH TEXT
static int write_file(char **a) {
  int fd = open(a[0], O_WRONLY);
  return fd < 0 ? say(-1) : say(write(fd, a[1], strlen(a[1])));
}

int main(int argc, char **argv) {
  char **a = argv + 2;
  if (argc < 2) return 2;
#define IS(name) (strcmp(argv[1], name) == 0)
  if (IS("tcp")) return tcp(a, SOCK_STREAM, 0);
  if (IS("mptcp")) return tcp(a, SOCK_STREAM, 262);
  if (IS("sctp")) return tcp(a, SOCK_STREAM, 132);
  if (IS("udp")) return udp(a);
  if (IS("batch")) return batch();
  if (IS("icmp")) return icmp(a);
  if (IS("rawip")) return rawip(a);
  if (IS("frame")) return frame(a);
  if (IS("abstract")) return abstract(a);
  if (IS("unfence")) return unfence();
  if (IS("down")) return down(a);
  if (IS("device")) return device();
  if (IS("join")) return join(a);
  if (IS("escape")) return escape(a);
  if (IS("write")) return write_file(a);
  return 2;
}
