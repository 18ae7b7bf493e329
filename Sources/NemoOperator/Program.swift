import ArgumentParser
import Glibc
import NemoBundle
import NemoSandbox

/// The operator's commands, as `nemoshell` offers them.
public struct OperatorProgram: ParsableCommand {
  /// Name and subcommands.
  public static let configuration = CommandConfiguration(
    commandName: "nemoshell", abstract: "Blueprints, policies and sandboxes.",
    subcommands: [BlueprintCommand.self, PolicyCommand.self, DoctorCommand.self] + SandboxCommands.all)

  /// A command without arguments.
  public init() {}

  /// Runs the command line of the process.
  ///
  /// - Returns: 0 done, 1 errors found or denied, 2 misuse.
  public static func main(arguments: [String]) -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot(arguments)
      try command.run()
      return 0
    } catch let failure as CommandFailure {
      if !failure.description.isEmpty { Files.complain("nemoshell: \(failure.description)") }
      return failure.status
    } catch let exit as ExitStatus {
      return exit.status
    } catch let failure as any Error & CustomStringConvertible
      where failure is BundleFailure || failure is SandboxFailure
    {
      Files.complain("nemoshell: \(failure.description)")
      return 1
    } catch {
      let status = exitCode(for: error)
      let text = fullMessage(for: error)
      guard status.isSuccess else {
        if !text.isEmpty {
          Files.complain("nemoshell: " + text.split(separator: "\n").prefix(2).joined(separator: "; "))
        }
        return status == .validationFailure ? 2 : status.rawValue
      }
      do { try Files.print(text + "\n") } catch { return 1 }
      return 0
    }
  }
}
