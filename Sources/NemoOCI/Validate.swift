import NemoJSON
import NemoKernel

// Contradictions between fields. The rules are the specification's and those that runc's validator enforces: a configuration that
// would undo its own protection does not start.

/// An error about the field at `pointer`.
func wrong(_ pointer: String, _ reason: String) -> Failure { Failure("", pointer, reason: reason) }

extension Configuration {
  /// Checks what the fields say together.
  ///
  /// - Throws: one line naming the JSON pointer of the first contradiction.
  func validate() throws(Failure) {
    try linux.validate()
    try validateName(hostname, at: "/hostname")
    try validateName(domainname, at: "/domainname")
    for index in mounts.indices { try mounts[index].validate(at: index, linux) }
    if let process {
      try process.validate(at: "/process")
      try linux.validateUser(process.user)
    }
  }

  private func validateName(_ name: String, at pointer: String) throws(Failure) {
    if name.isEmpty { return }
    guard linux.has(.uts) else { throw wrong(pointer, "needs a uts namespace in /linux/namespaces") }
    guard name.utf8.count <= Limits.nameLength else {
      throw wrong(pointer, "is longer than \(Limits.nameLength) bytes")
    }
  }
}

extension Process {
  func validate(at pointer: String) throws(Failure) {
    var seen: UInt32 = 0
    for (index, limit) in rlimits.enumerated() {
      let bit: UInt32 = 1 << UInt32(limit.resource)
      guard seen & bit == 0 else { throw wrong("\(pointer)/rlimits/\(index)/type", "\(limit.name) is given twice") }
      seen |= bit
    }
    if let scheduler { try scheduler.validate(at: pointer + "/scheduler") }
    if landlock != nil, !noNewPrivileges {
      throw wrong(
        pointer + "/noNewPrivileges", "must be true with landlock: the kernel restricts nobody who can gain privileges")
    }
  }
}

extension Scheduler {
  private static let fifo: UInt32 = 1
  private static let roundRobin: UInt32 = 2
  private static let deadlinePolicy: UInt32 = 6
  private static let keepsValues: UInt64 = 0x18

  /// sched_setattr(2).
  func validate(at pointer: String) throws(Failure) {
    if policy == Scheduler.fifo || policy == Scheduler.roundRobin {
      guard flags & Scheduler.keepsValues != 0 || (1...99).contains(priority) else {
        throw wrong(pointer + "/priority", "\(priority) is out of range 1 ... 99")
      }
    } else if priority != 0 {
      throw wrong(pointer + "/priority", "is only for SCHED_FIFO and SCHED_RR")
    }
    if policy != Scheduler.deadlinePolicy {
      for (name, value) in [("runtime", runtime), ("deadline", deadline), ("period", period)] where value != 0 {
        throw wrong("\(pointer)/\(name)", "is only for SCHED_DEADLINE")
      }
    } else {
      guard deadline == 0 || runtime <= deadline else { throw wrong(pointer + "/runtime", "is above the deadline") }
      guard period == 0 || deadline <= period else { throw wrong(pointer + "/deadline", "is above the period") }
    }
  }
}

extension Resources {
  func validate(at pointer: String) throws(Failure) {
    if let memory, let limit = memory.limit, let swap = memory.swap, limit > 0, swap > 0, swap < limit {
      throw wrong(pointer + "/memory/swap", "\(swap) is below limit \(limit): it counts memory and swap together")
    }
    if let cpu, let quota = cpu.quota, let burst = cpu.burst, quota > 0, burst > UInt64(quota) {
      throw wrong(pointer + "/cpu/burst", "\(burst) is above quota \(quota)")
    }
  }
}
