import CKernel
import Glibc
import NemoKernel

/// Out-of-memory events of a cgroup, as a descriptor to wait for.
public struct OutOfMemoryEvents: ~Copyable {
  /// Becomes readable on an event, and when the cgroup is removed.
  public let descriptor: OwnedDescriptor
  private let control: String

  init(descriptor: consuming OwnedDescriptor, control: String) {
    self.descriptor = descriptor
    self.control = control
  }

  /// Takes what has happened since the last call: whether memory ran out. False when nothing did or the cgroup is gone.
  public func take() throws(Failure) -> Bool {
    var count: UInt64 = 0
    let got = read(descriptor.raw, &count, 8)
    if got < 0, nemo_get_errno() != EAGAIN && nemo_get_errno() != EINTR { throw .last("read", "out-of-memory events") }
    return got == 8 && count > 0 && access(control, F_OK) == 0
  }
}

extension CgroupV1 {
  /// Asks the kernel to add to an event counter (eventfd(2)) whenever memory runs out (kernel documentation,
  /// admin-guide/cgroup-v1/memory.rst, "OOM Control").
  public func outOfMemoryEvents() throws(Failure) -> OutOfMemoryEvents {
    guard let directory = saved["memory"] else {
      throw Failure("listen for out-of-memory events", reason: "the cgroup controller memory is not mounted")
    }
    let fd = nemo_eventfd()
    guard fd >= 0 else { throw .last("eventfd") }
    let events = OwnedDescriptor(adopting: fd)
    let control = try Files.open(directory + "/memory.oom_control", O_RDONLY)
    try Files.write("\(events.raw) \(control.raw)", to: directory + "/cgroup.event_control")
    return OutOfMemoryEvents(descriptor: events, control: directory + "/cgroup.event_control")
  }

  /// See ``CgroupManager/outOfMemoryKills()``.
  public func outOfMemoryKills() throws(Failure) -> UInt64 {
    guard let directory = saved["memory"] else { return 0 }
    do throws(Failure) {
      return CgroupText.value("oom_kill", in: try Files.readText(directory + "/memory.oom_control"))
    } catch  where error.isGone { return 0 }
  }
}
