/// The system call profile `agent`: an allow-list for programs that work, not for those that administer.
///
/// It is smaller than Docker's: no other address families than UNIX, IPv4, IPv6 and route netlink, no raw sockets, no
/// new namespaces, no mounts, no tracing, no keyrings, no anonymous executables, no io_uring. A call that is known and
/// refused fails with EPERM. One that programs do without fails with ENOSYS, so that libc falls back, and so does every
/// call that is newer than the profile.
public enum AgentProfile {
  /// The name in blueprints.
  public static let name = "agent"

  /// Calls that are allowed whatever their arguments.
  public static let allowed: [String] = words(
    """
    accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown
    clock_getres clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2
    dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2
    execve exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2
    fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs
    fsync ftruncate futex futex_waitv futimesat get_robust_list getcpu getcwd getdents getdents64
    getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority
    getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday
    getuid getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch kill landlock_add_rule
    landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen listxattr
    llistxattr lremovexattr lseek lsetxattr lstat madvise map_shadow_stack membarrier mincore mkdir
    mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mremap mseal msgctl msgget msgrcv msgsnd
    msync munlock munlockall munmap nanosleep newfstatat open openat openat2 pause pipe pipe2 pkey_alloc
    pkey_free pkey_mprotect poll ppoll pread64 preadv preadv2 prlimit64 pselect6 pwrite64 pwritev
    pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg removexattr rename
    renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
    select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto set_robust_list
    set_tid_address setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid
    setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd
    signalfd4 splice stat statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill
    time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
    timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat utime utimensat
    utimes vfork wait4 waitid write writev
    """)

  /// Calls that fail with EPERM: they administer, trace, or reach into the kernel.
  public static let refused: [String] = words(
    """
    acct add_key adjtimex bpf chroot clock_adjtime clock_settime create_module delete_module
    fanotify_init fanotify_mark finit_module fsconfig fsmount fsopen fspick get_kernel_syms
    get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp
    kexec_file_load kexec_load keyctl listmount lookup_dcookie lsm_set_self_attr mbind memfd_create
    memfd_secret migrate_pages modify_ldt mount mount_setattr move_mount move_pages name_to_handle_at
    nfsservctl open_by_handle_at open_tree open_tree_attr perf_event_open pidfd_getfd pidfd_open
    pidfd_send_signal pivot_root process_madvise process_mrelease process_vm_readv process_vm_writev
    ptrace quotactl quotactl_fd reboot remap_file_pages request_key seccomp set_mempolicy
    set_mempolicy_home_node setdomainname sethostname setns settimeofday statmount swapoff swapon sysfs
    syslog umount2 unshare uselib userfaultfd ustat vhangup
    """)

  /// Calls that fail with ENOSYS, as on a kernel without them: what libc and programs have another way for, and numbers
  /// that no kernel serves any more. `clone3` passes its flags by pointer, which no filter can read: libc uses `clone`.
  public static let absent: [String] = words(
    """
    _sysctl afs_syscall clone3 epoll_ctl_old epoll_wait_old file_getattr file_setattr futex_requeue
    futex_wait futex_wake get_thread_area getpmsg getxattrat io_cancel io_destroy io_getevents
    io_pgetevents io_setup io_submit ioprio_get ioprio_set listxattrat lsm_get_self_attr
    lsm_list_modules mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink oldolduname
    putpmsg query_module removexattrat security set_thread_area setfsgid setfsuid setxattrat sgetmask
    ssetmask swapcontext tuxcall vmsplice vserver
    """)

  /// What a call fails with that no rule of a policy names.
  public static let unknownErrno = "ENOSYS"

  /// What a call fails with that is named, where no rule covers its arguments.
  public static let uncoveredErrno = "EPERM"

  /// Calls whose arguments decide.
  public static let conditional: [SystemCallRule] =
    sockets + [
      allow(["socketpair"], [int(0, 1)]),
      // No namespace: CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
      allow(["clone"], [ArgumentCondition(0, .maskedEqual, 0, mask: 0x7e02_0080)]),
      // PER_LINUX; 0xffffffff asks.
      allow(["personality"], [int(0, 0)]), allow(["personality"], [int(0, 0xffff_ffff)]),
      // AT_EMPTY_PATH runs a file that has no path, and so no rule.
      allow(["execveat"], [ArgumentCondition(4, .maskedEqual, 0, mask: 0x1000)]),
      // TIOCSTI and TIOCLINUX type into the terminal of somebody else.
      refuse(["ioctl"], [int(1, 0x5412)]), refuse(["ioctl"], [int(1, 0x541c)]), allow(["ioctl"], []),
    ] + processOptions.map { allow(["prctl"], [int(0, $0)]) }

  /// Families: UNIX of any type; IPv4 and IPv6 as plain TCP and UDP only (no raw, ICMP, SCTP, MPTCP); netlink for routes.
  private static let sockets: [SystemCallRule] =
    [allow(["socket"], [int(0, 1)])]
    + [UInt64(2), 10].flatMap { family in
      [(UInt64(1), UInt64(0)), (1, 6), (2, 0), (2, 17)].map { kind, transport in
        allow(["socket"], [int(0, family), type(kind), int(2, transport)])
      }
    } + [allow(["socket"], [int(0, 16), int(2, 0)])]

  /// Options of prctl(2) that concern the caller itself and widen nothing. Not among them: filters and system call dispatch,
  /// memory maps, speculation, page merging, core scheduling, and who may trace.
  private static let processOptions: [UInt64] = [
    1, 2, 3, 4,  // PR_SET_PDEATHSIG, GET; PR_GET_DUMPABLE, SET
    7, 8,  // PR_GET_KEEPCAPS, SET
    15, 16,  // PR_SET_NAME, GET
    21, 23, 24, 27,  // PR_GET_SECCOMP, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_GET_SECUREBITS
    29, 30,  // PR_SET_TIMERSLACK, GET
    36, 37, 38, 39,  // PR_SET_CHILD_SUBREAPER, GET; PR_SET_NO_NEW_PRIVS, GET
    40, 41, 42,  // PR_GET_TID_ADDRESS; PR_SET_THP_DISABLE, GET
    47, 52,  // PR_CAP_AMBIENT, PR_GET_SPECULATION_CTRL
    65, 66,  // PR_SET_MDWE, GET
    0x4155_5856, 0x5356_4d41,  // PR_GET_AUXV, PR_SET_VMA (names a mapping)
  ]

  /// The whole profile.
  public static let rules: [SystemCallRule] =
    [
      refuse(refused, []), SystemCallRule(absent, .refuse(errno: "ENOSYS"), name: "profile agent", origin: .builtIn),
      allow(allowed, []),
    ] + conditional

  private static func words(_ text: String) -> [String] {
    text.split { $0 == " " || $0 == "\n" }.map(String.init)
  }

  private static func allow(_ names: [String], _ conditions: [ArgumentCondition]) -> SystemCallRule {
    SystemCallRule(names, when: conditions, .allow, name: "profile agent", origin: .builtIn)
  }

  private static func refuse(_ names: [String], _ conditions: [ArgumentCondition]) -> SystemCallRule {
    SystemCallRule(names, when: conditions, .refuse(errno: "EPERM"), name: "profile agent", origin: .builtIn)
  }

  /// Arguments are 64 bits wide in a filter; the kernel looks at 32 of an int.
  private static func int(_ index: Int, _ value: UInt64) -> ArgumentCondition {
    ArgumentCondition(index, .maskedEqual, value, mask: 0xffff_ffff)
  }

  /// A socket type without its flags.
  private static func type(_ value: UInt64) -> ArgumentCondition {
    ArgumentCondition(1, .maskedEqual, value, mask: 0xf)
  }
}
