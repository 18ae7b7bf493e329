import NemoKernel
import NemoOCI

extension ResourceWriter {
  /// `kernel` is accepted and has no effect, as in every runtime since Linux 5.4 took it away (config-linux.md#memory: not
  /// recommended); neither has `useHierarchy`, which is always so since Linux 5.11.
  func apply(_ memory: MemoryResources) throws(Failure) {
    try applyLimits(memory.limit ?? 0, memory.swap ?? 0)
    if let reservation = memory.reservation, reservation != 0 {
      try set(
        "memory", "memory.soft_limit_in_bytes", String(reservation), "memory/reservation", isDefault: reservation == -1)
    }
    if let buffers = memory.kernelTCP, buffers != 0 {
      try set(
        "memory", "memory.kmem.tcp.limit_in_bytes", String(buffers), "memory/kernelTCP", isDefault: buffers == -1)
    }
    if let swappiness = memory.swappiness {
      try set("memory", "memory.swappiness", String(swappiness), "memory/swappiness")
    }
    if let disable = memory.disableOOMKiller {
      try set("memory", "memory.oom_control", disable ? "1" : "0", "memory/disableOOMKiller", isDefault: !disable)
    }
  }

  private static let swapFile = "memory.memsw.limit_in_bytes"

  /// The limits of memory and of memory plus swap in bytes; 0 leaves one alone.
  ///
  /// The second is never below the first, also for a moment: which goes first depends on the present ones.
  private func applyLimits(_ limit: Int64, _ swap: Int64) throws(Failure) {
    var swap = swap
    // Without swap accounting no swap limit is what there is.
    if swap == -1 || (limit == -1 && swap == 0) { swap = exists("memory", ResourceWriter.swapFile) ? -1 : 0 }
    if limit != 0, swap != 0, try swapGoesFirst(swap) {
      try setSwap(swap)
      try setMemory(limit)
    } else {
      if limit != 0 { try setMemory(limit) }
      if swap != 0 { try setSwap(swap) }
    }
  }

  private func swapGoesFirst(_ swap: Int64) throws(Failure) -> Bool {
    if swap == -1 { return true }
    if creating, let directory = cgroup.saved["memory"], cgroup.fresh.contains(directory) { return false }
    guard let present = try current("memory", "memory.limit_in_bytes") else { return false }
    return present < UInt64(swap)
  }

  private func setSwap(_ swap: Int64) throws(Failure) {
    try set("memory", ResourceWriter.swapFile, String(swap), "memory/swap", isDefault: swap == -1)
  }

  /// A limit below the usage is refused by the kernel when it cannot reclaim enough, which is what `checkBeforeUpdate` asks for
  /// (config-linux.md#memory).
  private func setMemory(_ limit: Int64) throws(Failure) {
    do throws(Failure) {
      try set("memory", "memory.limit_in_bytes", String(limit), "memory/limit", isDefault: limit == -1)
    } catch  where error.errno == .busy {
      let usage = try current("memory", "memory.usage_in_bytes") ?? 0
      let peak = try current("memory", "memory.max_usage_in_bytes") ?? 0
      throw Failure(
        "", "\(base)/memory/limit", errno: .busy,
        reason: "unable to set memory limit to \(limit) (current usage: \(usage), peak usage: \(peak))")
    }
  }
}
