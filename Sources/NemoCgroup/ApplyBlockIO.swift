import NemoKernel
import NemoOCI

extension ResourceWriter {
  /// A weight of 0 is none; a rate of 0 takes a device's limit away.
  func apply(_ io: BlockIOResources) throws(Failure) {
    if let weight = io.weight, weight != 0 { try setWeight("weight", String(weight), "blockIO/weight") }
    if let weight = io.leafWeight, weight != 0 {
      try set("blkio", "blkio.leaf_weight", String(weight), "blockIO/leafWeight")
    }
    for (index, device) in io.weightDevice.enumerated() {
      let name = "\(device.major):\(device.minor)"
      let pointer = "blockIO/weightDevice/\(index)"
      if let weight = device.weight, weight != 0 {
        try setWeight("weight_device", "\(name) \(weight)", "\(pointer)/weight")
      }
      if let weight = device.leafWeight, weight != 0 {
        try set("blkio", "blkio.leaf_weight_device", "\(name) \(weight)", "\(pointer)/leafWeight")
      }
    }
    let throttles = [
      ("read_bps", io.throttleReadBpsDevice, "throttleReadBpsDevice"),
      ("write_bps", io.throttleWriteBpsDevice, "throttleWriteBpsDevice"),
      ("read_iops", io.throttleReadIOPSDevice, "throttleReadIOPSDevice"),
      ("write_iops", io.throttleWriteIOPSDevice, "throttleWriteIOPSDevice"),
    ]
    for (file, devices, name) in throttles {
      for (index, device) in devices.enumerated() {
        try set(
          "blkio", "blkio.throttle.\(file)_device", "\(device.major):\(device.minor) \(device.rate)",
          "blockIO/\(name)/\(index)")
      }
    }
  }

  /// The scheduler that takes weights is BFQ, since CFQ, whose files had the plain names, left Linux 5.0.
  private func setWeight(_ name: String, _ value: String, _ pointer: String) throws(Failure) {
    try set("blkio", exists("blkio", "blkio.\(name)") ? "blkio.\(name)" : "blkio.bfq.\(name)", value, pointer)
  }
}
