import NemoPolicy
import Testing

@testable import NemoFence
