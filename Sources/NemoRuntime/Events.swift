import CKernel
import Glibc
import NemoCgroup
import NemoJSON
import NemoKernel

/// What `events` prints.
public enum Events {
  /// Prints statistics at once and then every `interval` milliseconds, and an event for each out-of-memory kill, until the
  /// container has ended.
  public static func print(
    _ id: String, once: Bool, interval: Int, _ context: RuntimeContext, _ emit: ([UInt8]) throws(Failure) -> Void
  ) throws(Failure) {
    let container = try Container(id, context, locked: false)
    guard try container.status() != .stopped, let ended = try container.pidfd() else {
      throw container.wrongState("events", .stopped)
    }
    let cgroup = try container.cgroup()
    if once { return try emit(statistics(id, cgroup)) }
    let memory = try cgroup.outOfMemoryEvents()
    var next = now()
    while true {
      if now() >= next {
        try emit(statistics(id, cgroup))
        next += (now() - next) / interval * interval + interval
      }
      var waiting = [
        pollfd(fd: memory.descriptor.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: ended.raw, events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&waiting, 2, Int32(clamping: max(next - now(), 0)))
      guard count >= 0 || nemo_get_errno() == EINTR else { throw .last("wait for events", id) }
      if count <= 0 { continue }
      // Memory first: it may be what ended the container.
      if waiting[0].revents != 0, try memory.take() { try emit(event("oom", id) { _ in }) }
      if waiting[1].revents != 0 { return }
    }
  }

  private static func statistics(_ id: String, _ cgroup: any CgroupManager) throws(Failure) -> [UInt8] {
    let stats = try cgroup.stats()
    return event("stats", id) { json in
      json.key("data")
      stats.write(to: &json)
    }
  }

  /// One line.
  private static func event(_ type: String, _ id: String, _ data: (inout JSONWriter) -> Void) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.member("type", type)
    json.member("id", id)
    data(&json)
    json.endObject()
    return json.bytes + [10]
  }

  private static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }
}
