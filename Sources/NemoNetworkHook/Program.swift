import CKernel
import Glibc
import NemoFence
import NemoKernel

/// The program `nemoshell-network`: an OCI hook (hooks/README.md).
public enum NetworkHookProgram {
  private static let usage = """
    usage: nemoshell-network setup|verify [--config FILE] [--root DIR] [--allow-host]
           nemoshell-network teardown [--root DIR]

    An OCI hook: reads the container's state on standard input. `setup` is for createRuntime, `teardown` for poststop;
    `verify` compares what the kernel has with what setup loaded.

      --config FILE  the network's configuration; default is network.json in the container's bundle
      --root DIR     where addresses in use are kept; default is \(LeaseStore.standardRoot)
      --allow-host   permit mode host, in which nothing holds the container's network

    """

  /// Runs it; returns its exit status: 0, 1 for a failure, 2 for a wrong call.
  public static func main() -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    umask(0o077)
    let arguments = (1..<max(1, nemo_argument_count())).map { String(cString: nemo_argument(Int32($0))) }
    if arguments == ["--help"] || arguments == ["-h"] { return say(usage, to: 1, status: 0) }
    guard let verb = arguments.first, ["setup", "teardown", "verify"].contains(verb) else {
      return say(usage, to: 2, status: 2)
    }
    do throws(Failure) {
      let options = try options(arguments.dropFirst(), isTeardown: verb == "teardown")
      do throws(Failure) {
        try run(verb, options)
        return 0
      } catch { return say("nemoshell-network: \(error.message)\n", to: 2, status: 1) }
    } catch { return say("nemoshell-network: \(error.message)\n", to: 2, status: 2) }
  }

  private static func run(_ verb: String, _ options: HookOptions) throws(Failure) {
    let state = try ContainerState(from: 0)
    switch verb {
    case "setup": try ContainerNetwork(state, options).setUp()
    case "verify": try ContainerNetwork(state, options).verify()
    default: try Teardown(state.id, options.root).run()
    }
  }

  private static func options(_ arguments: ArraySlice<String>, isTeardown: Bool) throws(Failure) -> HookOptions {
    var options = HookOptions()
    var rest = arguments
    while let argument = rest.popFirst() {
      switch argument {
      case "--config" where !isTeardown: options.configuration = try path(after: argument, &rest)
      case "--root": options.root = try path(after: argument, &rest)
      case "--allow-host" where !isTeardown: options.allowsHost = true
      default: throw Failure("unknown argument", argument, advice: "see nemoshell-network --help")
      }
    }
    return options
  }

  private static func path(after flag: String, _ rest: inout ArraySlice<String>) throws(Failure) -> String {
    guard let path = rest.popFirst(), path.hasPrefix("/") else { throw Failure(flag, reason: "needs an absolute path") }
    return path
  }

  private static func say(_ text: String, to descriptor: Int32, status: Int32) -> Int32 {
    do throws(Failure) { try Files.writeAll(descriptor, Array(text.utf8), subject: "the answer") } catch { return 1 }
    return status
  }
}
