import CKernel
import Glibc
import NemoKernel
import NemoMounts
import NemoOCI

/// Pseudo-terminals of containers: made inside, by descriptor, and handed out over a socket.
enum Terminal {
  static let devptsMagic: Int64 = 0x1cd1

  /// Opens a terminal in the container's own devpts, makes it stdio and controlling terminal of this process, and sends the master
  /// over `console`.
  ///
  /// - Parameters:
  ///   - root: the container's root directory.
  ///   - mountConsole: bind it to /dev/console (the init process).
  static func open(in root: Int32, size: ConsoleSize?, console: Int32, mountConsole: Bool) throws(Failure) {
    let master = try RootDirectory.open("/dev/pts/ptmx", O_RDWR | O_NOCTTY, in: root)
    let status = try Files.status(of: master.raw, subject: "/dev/pts/ptmx")
    guard nemo_filesystem_magic(master.raw) == devptsMagic, status.st_mode & S_IFMT == S_IFCHR,
      nemo_major(status.st_rdev) == 5, nemo_minor(status.st_rdev) == 2
    else {
      throw Failure("open terminal", "/dev/pts/ptmx", reason: "it is not the multiplexer of a devpts file system")
    }
    guard nemo_pty_unlock(master.raw) == 0 else { throw .last("unlock terminal") }
    // The peer by ioctl, not by its path, which the container could replace (CVE-2025-52565).
    let fd = nemo_pty_peer(master.raw)
    guard fd >= 0 else { throw .last("open terminal") }
    let peer = OwnedDescriptor(adopting: fd)
    if let size {
      var window = winsize()
      window.ws_row = size.height
      window.ws_col = size.width
      guard nemo_ioctl_pointer(master.raw, UInt(TIOCSWINSZ), &window) == 0 else { throw .last("set terminal size") }
    }
    if mountConsole { try mount(peer.raw, in: root) }
    try Descriptors.send(Array("/dev/ptmx".utf8), [master.raw], over: console, subject: "console socket")
    for number in 0...2 as ClosedRange<Int32> {
      guard dup2(peer.raw, number) >= 0 else { throw .last("use terminal as stdio") }
    }
  }

  private static func mount(_ peer: Int32, in root: Int32) throws(Failure) {
    let place = try RootDirectory.openParent("/dev/console", in: root)
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let made = Int32(retrying { Int(openat(place.directory.raw, place.name, flags, 0o600)) })
    guard made >= 0 || nemo_get_errno() == EEXIST else { throw .last("create", "/dev/console") }
    if made >= 0 { close(made) }
    let target = try Files.open(place.name, O_PATH | O_NOFOLLOW, at: place.directory.raw)
    let status = try Files.status(of: target.raw, subject: "/dev/console")
    guard status.st_mode & S_IFMT != S_IFLNK else {
      throw Failure("mount terminal on", "/dev/console", errno: .loop, reason: "it is a symbolic link")
    }
    let tree = try MountTree.copy("", at: peer, recursive: false)
    try MountTree.attach(tree.raw, to: target.raw, subject: "/dev/console")
  }

  /// Makes stdin the controlling terminal; the process leads its own session.
  static func control() throws(Failure) {
    guard nemo_ioctl_int(0, UInt(TIOCSCTTY), 0) == 0 else { throw .last("set controlling terminal") }
  }
}
