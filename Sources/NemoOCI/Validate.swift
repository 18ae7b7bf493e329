import NemoKernel

extension Configuration {
  func validate() throws(Failure) {}
}
extension Process {
  func validate(at pointer: String) throws(Failure) {}
}
extension Resources {
  func validate(at pointer: String) throws(Failure) {}
}
