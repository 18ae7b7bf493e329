import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// Attributes of the calling process that execve(2) keeps: session, umask, limits, scheduling.
enum ProcessAttributes {
  static func apply(_ process: Process) throws(Failure) {
    for limit in process.rlimits {
      guard nemo_prlimit(0, limit.resource, limit.soft, limit.hard) == 0 else {
        throw .last("set rlimit \(limit.name)", "/process/rlimits")
      }
    }
    if let s = process.scheduler {
      guard
        nemo_sched_setattr(
          0, s.policy, s.flags, s.nice, UInt32(bitPattern: s.priority), s.runtime, s.deadline, s.period) == 0
      else {
        let errno = Errno.current
        throw Failure(
          "set scheduler", "/process/scheduler", errno: errno,
          advice: errno == .notPermitted && s.policy == 6
            ? "process scheduler can't be used together with AllowedCPUs: SCHED_DEADLINE needs every CPU" : "")
      }
    }
    if let io = process.ioPriority {
      guard nemo_ioprio_set(1, 0, io.ioClass << 13 | io.priority) == 0 else {
        throw .last("set I/O priority", "/process/ioPriority")
      }
    }
    if let mask = process.user.umask { umask(mode_t(mask)) } else { umask(0o022) }
  }

  /// personality(2) and set_mempolicy(2).
  static func apply(_ linux: LinuxConfiguration) throws(Failure) {
    if let personality = linux.personality {
      guard nemo_personality(personality.domain) >= 0 else { throw .last("set personality", "/linux/personality") }
    }
    if let policy = linux.memoryPolicy {
      let nodes = try CPUList.parse(policy.nodes, subject: "/linux/memoryPolicy/nodes")
      var mask = [UInt](repeating: 0, count: 16)
      for node in nodes where node < 1024 { mask[node / 64] |= 1 << UInt(node % 64) }
      let mode = policy.mode | policy.flags
      guard (nodes.isEmpty ? nemo_set_mempolicy(mode, nil, 0) : nemo_set_mempolicy(mode, &mask, 1024)) == 0 else {
        throw .last("set memory policy", "/linux/memoryPolicy")
      }
    }
  }

  /// Every CPU that the cgroup allows: the one the runtime was bound to is none of the container's business.
  static func resetAffinity() {
    // Where it is not permitted the process keeps what it has, and the cgroup still rules.
    _ = nemo_sched_setaffinity(0, 1024, [UInt8](repeating: 0xff, count: 1024))
  }

  /// sched_setaffinity(2) of the calling process to a list such as `0-2,4`.
  static func setAffinity(_ list: String, subject: String) throws(Failure) {
    if list.isEmpty { return }
    var mask = [UInt8](repeating: 0, count: 1024)
    for cpu in try CPUList.parse(list, subject: subject) {
      guard cpu < 8192 else { throw Failure("", subject, reason: "no CPU \(cpu)") }
      mask[cpu / 8] |= 1 << UInt8(cpu % 8)
    }
    guard nemo_sched_setaffinity(0, mask.count, mask) == 0 else { throw .last("set CPU affinity \(list)", subject) }
  }
}

/// Lists of numbers as the kernel writes them: `0-2,4`.
enum CPUList {
  static func parse(_ list: String, subject: String) throws(Failure) -> [Int] {
    var numbers: [Int] = []
    for part in list.split(separator: ",") {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first >= 0, first <= last,
        last < 65536
      else {
        throw Failure("", subject, reason: "\"\(list)\" is not a list such as 0-2,4")
      }
      numbers += first...last
    }
    return numbers
  }
}
