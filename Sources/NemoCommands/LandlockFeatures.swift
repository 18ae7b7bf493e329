import NemoJSON
import NemoLandlock
import NemoOCI

extension NemoshellProgram {
  /// `linux.landlock` of `features`: what configurations may name on this kernel (spec/landlock.md).
  static func landlockFeatures(_ json: inout JSONWriter) {
    let kernel = LandlockKernel.probe()
    let rights = kernel.supported
    json.key("landlock")
    json.beginObject()
    json.member("enabled", true)
    json.member("abi", kernel.abi)
    json.member("handledAccessFS", LandlockNames.list(rights.files, LandlockNames.files))
    json.member("handledAccessNet", LandlockNames.list(rights.ports, LandlockNames.ports))
    json.member("scoped", LandlockNames.list(rights.scopes, LandlockNames.scopes))
    json.member("flags", LandlockNames.list(rights.flags, LandlockNames.flags))
    json.endObject()
  }
}
