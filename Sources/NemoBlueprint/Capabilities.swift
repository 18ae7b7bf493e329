/// Capabilities of Linux (capabilities(7)).
enum Capabilities {
  static let all: [String] = """
    CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
    CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK
    CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN
    CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE
    CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND
    CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE
    """.split { $0 == " " || $0 == "\n" }.map(String.init)

  /// Capabilities with which a process undoes its own sandbox, and how.
  static let refused: [String: String] = [
    "CAP_SYS_ADMIN": "can mount, join namespaces and undo the sandbox",
    "CAP_NET_ADMIN": "can change the sandbox's packet filter",
    "CAP_SYS_MODULE": "can load kernel modules",
    "CAP_SYS_RAWIO": "can reach the hardware",
    "CAP_SYS_BOOT": "can restart the host",
    "CAP_BPF": "can load programs into the kernel",
    "CAP_PERFMON": "can observe the whole host",
    "CAP_DAC_READ_SEARCH": "can open files by handle, past every rule",
    "CAP_MAC_ADMIN": "can change the host's security modules",
    "CAP_MAC_OVERRIDE": "can pass the host's security modules",
    "CAP_CHECKPOINT_RESTORE": "can reach other processes' memory",
    "CAP_AUDIT_CONTROL": "can switch the kernel's audit off",
    "CAP_SYSLOG": "can read the kernel's log and addresses",
    "CAP_SYS_TIME": "can set the host's clock",
  ]
}
