// Socket families, types and protocols.
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <sys/socket.h>

#define SOCKET(name, family, type, protocol) \
  static int try_##name(void) { return socket(family, (type) | SOCK_CLOEXEC, protocol) < 0 ? errno : 0; }

SOCKET(packet, AF_PACKET, SOCK_DGRAM, 0)
SOCKET(vsock, AF_VSOCK, SOCK_STREAM, 0)
SOCKET(alg, AF_ALG, SOCK_SEQPACKET, 0)
SOCKET(key, AF_KEY, SOCK_RAW, 2)
SOCKET(xdp, 44, SOCK_RAW, 0)
SOCKET(bluetooth, AF_BLUETOOTH, SOCK_RAW, 1)
SOCKET(tipc, AF_TIPC, SOCK_DGRAM, 0)
SOCKET(rds, AF_RDS, SOCK_SEQPACKET, 0)
SOCKET(can, AF_CAN, SOCK_RAW, 1)
SOCKET(nfc, AF_NFC, SOCK_SEQPACKET, 0)
SOCKET(qipcrtr, 42, SOCK_DGRAM, 0)
SOCKET(smc, 43, SOCK_STREAM, 0)
SOCKET(netlink_sock_diag, AF_NETLINK, SOCK_RAW, 4)
SOCKET(netlink_audit, AF_NETLINK, SOCK_RAW, 9)
SOCKET(netlink_netfilter, AF_NETLINK, SOCK_RAW, 12)
SOCKET(netlink_uevent, AF_NETLINK, SOCK_RAW, 15)
SOCKET(netlink_generic, AF_NETLINK, SOCK_RAW, 16)
SOCKET(raw, AF_INET, SOCK_RAW, 1)
SOCKET(raw6, AF_INET6, SOCK_RAW, 58)
SOCKET(icmp, AF_INET, SOCK_DGRAM, 1)
SOCKET(mptcp, AF_INET, SOCK_STREAM, 262)
SOCKET(sctp, AF_INET, SOCK_STREAM, 132)
SOCKET(udplite, AF_INET6, SOCK_DGRAM, 136)
static int try_pair(void) {
  int ends[2];
  return socketpair(AF_TIPC, SOCK_STREAM, 0, ends) ? errno : 0;
}

SOCKET(unix_stream, AF_UNIX, SOCK_STREAM, 0)
SOCKET(tcp, AF_INET, SOCK_STREAM, 0)
SOCKET(udp6, AF_INET6, SOCK_DGRAM, 17)
SOCKET(netlink_route, AF_NETLINK, SOCK_RAW, 0)
static int try_unix_pair(void) {
  int ends[2];
  return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ? errno : 0;
}

#define REFUSED(name) {"sockets", #name, "EPERM", try_##name}
#define WORKS(name) {"work", #name, "works", try_##name}

const struct attempt socket_attempts[] = {
    REFUSED(packet), REFUSED(vsock), REFUSED(alg), REFUSED(key), REFUSED(xdp), REFUSED(bluetooth), REFUSED(tipc), REFUSED(rds), REFUSED(can),
    REFUSED(nfc), REFUSED(qipcrtr), REFUSED(smc), REFUSED(netlink_sock_diag), REFUSED(netlink_audit), REFUSED(netlink_netfilter),
    REFUSED(netlink_uevent), REFUSED(netlink_generic), REFUSED(raw), REFUSED(raw6), REFUSED(icmp), REFUSED(mptcp), REFUSED(sctp),
    REFUSED(udplite), REFUSED(pair),
    WORKS(unix_stream), WORKS(tcp), WORKS(udp6), WORKS(netlink_route), WORKS(unix_pair),
};
const size_t socket_count = sizeof socket_attempts / sizeof *socket_attempts;
