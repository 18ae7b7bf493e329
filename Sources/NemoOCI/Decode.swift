import NemoJSON
import NemoKernel

extension Configuration {
  /// Decodes and validates config.json.
  ///
  /// - Parameters:
  ///   - bytes: the JSON text.
  ///   - subject: its path, for errors.
  /// - Throws: one line naming the JSON pointer of the first wrong field.
  public init(parsing bytes: [UInt8], subject: String) throws(Failure) {
    throw Failure("decode", subject)
  }
}

extension Process {
  /// Decodes and validates the process document of `exec --process`.
  public init(parsing bytes: [UInt8], subject: String) throws(Failure) {
    throw Failure("decode", subject)
  }
}

extension Resources {
  /// Decodes and validates the resources document of `update --resources`.
  public init(parsing bytes: [UInt8], subject: String) throws(Failure) {
    throw Failure("decode", subject)
  }
}
