/// What a filter answers, as a function instead of as instructions: for each architecture, ranges of system call numbers,
/// and for each range an answer or a graph of tests on the arguments.
///
/// It is found by running the program symbolically, so it holds for whatever libseccomp made of the rules. Two programs
/// with equal decisions answer every call alike.
struct FilterDecisions: Equatable {
  /// A point in the graph: an answer, or a test of one word of the arguments.
  enum Node: Hashable {
    case answer(UInt32)
    case test(offset: UInt32, mask: UInt32, code: UInt16, constant: UInt32, ifTrue: Int, ifFalse: Int)
  }

  /// All numbers from `start` to the next range's.
  struct Range: Equatable {
    var start: UInt32
    var node: Int
  }

  /// The nodes met, each once; several decisions may share a table, which makes their node numbers comparable.
  struct Table {
    fileprivate(set) var nodes: [Node] = []
    private var places: [Node: Int] = [:]

    mutating func place(_ node: Node) -> Int {
      if let place = places[node] { return place }
      nodes.append(node)
      places[node] = nodes.count - 1
      return nodes.count - 1
    }
  }

  /// By AUDIT_ARCH_… as the kernel shows it, sorted.
  var architectures: [(token: UInt32, ranges: [Range])] = []
  /// For all others.
  var others: [Range] = []

  static func == (a: FilterDecisions, b: FilterDecisions) -> Bool {
    a.others == b.others
      && a.architectures.elementsEqual(b.architectures) { $0.token == $1.token && $0.ranges == $1.ranges }
  }

  /// The decisions of `program`; nil when it does what libseccomp never does, which is not followed.
  init?(_ program: [FilterInstruction], _ table: inout Table) {
    let tokens = FilterDecisions.tokens(program)
    var starts: Set<UInt32> = [0, 1 << 30, 2 << 30, 3 << 30]
    // Every constant compared with might be compared with the number; a needless border is merged away again.
    for instruction in program {
      let constant = instruction.constant
      switch instruction.code {
      case FilterInstruction.jumpIfEqual:
        starts.insert(constant)
        starts.insert(constant &+ 1)
      case FilterInstruction.jumpIfGreater: starts.insert(constant &+ 1)
      case FilterInstruction.jumpIfGreaterOrEqual: starts.insert(constant)
      default: break
      }
    }
    let sorted = starts.sorted()
    func ranges(_ architecture: UInt32?) -> [Range]? {
      var ranges: [Range] = []
      for start in sorted {
        var run = SymbolicRun(program: program, architecture: architecture, number: start, tokens: tokens)
        guard let node = run.follow(0, .unknown, depth: 0, &table) else { return nil }
        if ranges.last?.node != node { ranges.append(Range(start: start, node: node)) }
      }
      return ranges
    }
    for token in tokens.sorted() {
      guard let found = ranges(token) else { return nil }
      architectures.append((token, found))
    }
    guard let found = ranges(nil) else { return nil }
    others = found
    // An architecture that is treated like all others needs no mention.
    architectures.removeAll { $0.ranges == found }
  }

  /// Every constant that the architecture may be compared with: jumps go forward, so one pass sees who reaches whom.
  private static func tokens(_ program: [FilterInstruction]) -> Set<UInt32> {
    var tokens: Set<UInt32> = []
    var mayHold = [Bool](repeating: false, count: program.count + 1)
    for (i, it) in program.enumerated() {
      func reach(_ distance: Int, _ holds: Bool) {
        if holds { mayHold[min(i + 1 + distance, program.count)] = true }
      }
      switch it.code {
      case FilterInstruction.load: reach(0, it.constant == FilterData.architecture)
      case FilterInstruction.jump: reach(Int(it.constant), mayHold[i])
      case FilterInstruction.jumpIfEqual, FilterInstruction.jumpIfGreater, FilterInstruction.jumpIfGreaterOrEqual,
        FilterInstruction.jumpIfAnySet:
        if mayHold[i] && it.code == FilterInstruction.jumpIfEqual { tokens.insert(it.constant) }
        reach(Int(it.ifTrue), mayHold[i])
        reach(Int(it.ifFalse), mayHold[i])
      default: break
      }
    }
    return tokens
  }
}

/// One run with the architecture and the number known and the arguments open.
private struct SymbolicRun {
  /// What the accumulator holds.
  enum Value: Hashable {
    case unknown, architecture, number
    case argument(offset: UInt32, mask: UInt32)
  }

  struct State: Hashable {
    var place: Int
    var value: Value
  }

  let program: [FilterInstruction]
  /// nil stands for one that no instruction names.
  let architecture: UInt32?
  let number: UInt32
  let tokens: Set<UInt32>
  private var known: [State: Int] = [:]

  init(program: [FilterInstruction], architecture: UInt32?, number: UInt32, tokens: Set<UInt32>) {
    self.program = program
    self.architecture = architecture
    self.number = number
    self.tokens = tokens
  }

  /// The node of what happens from instruction `start` on.
  mutating func follow(_ start: Int, _ accumulator: Value, depth: Int, _ table: inout FilterDecisions.Table) -> Int? {
    guard depth < SeccompLimits.argumentTests else { return nil }
    var place = start
    var value = accumulator
    while place < program.count {
      let it = program[place]
      place += 1
      switch it.code {
      case FilterInstruction.answer: return table.place(.answer(it.constant))
      case FilterInstruction.jump: place += Int(it.constant)
      case FilterInstruction.load:
        switch it.constant {
        case FilterData.number: value = .number
        case FilterData.architecture: value = .architecture
        case FilterData.arguments..<FilterData.size: value = .argument(offset: it.constant, mask: UInt32.max)
        default: return nil
        }
      case FilterInstruction.and:
        guard case .argument(let offset, let mask) = value else { return nil }
        value = .argument(offset: offset, mask: mask & it.constant)
      case FilterInstruction.jumpIfEqual, FilterInstruction.jumpIfGreater, FilterInstruction.jumpIfGreaterOrEqual,
        FilterInstruction.jumpIfAnySet:
        // Nothing is left of a word under an empty mask.
        if case .argument(_, mask: 0) = value {
          place += Int(SymbolicRun.compare(it, 0) ? it.ifTrue : it.ifFalse)
          continue
        }
        if case .argument(let offset, let mask) = value {
          return branch(place, it, offset, mask, depth, &table)
        }
        guard let taken = decide(it, value) else { return nil }
        place += Int(taken ? it.ifTrue : it.ifFalse)
      default: return nil
      }
    }
    return nil
  }

  /// A comparison of what is known in this run; nil where it could differ within the range of numbers.
  private func decide(_ it: FilterInstruction, _ value: Value) -> Bool? {
    switch (value, it.code) {
    case (.architecture, FilterInstruction.jumpIfEqual):
      return tokens.contains(it.constant) ? architecture == it.constant : nil
    case (.number, FilterInstruction.jumpIfAnySet) where it.constant.trailingZeroBitCount < 30: return nil
    case (.number, _): return SymbolicRun.compare(it, number)
    default: return nil
    }
  }

  private static func compare(_ it: FilterInstruction, _ value: UInt32) -> Bool {
    switch it.code {
    case FilterInstruction.jumpIfEqual: value == it.constant
    case FilterInstruction.jumpIfGreater: value > it.constant
    case FilterInstruction.jumpIfGreaterOrEqual: value >= it.constant
    default: value & it.constant != 0
    }
  }

  private mutating func branch(
    _ place: Int, _ it: FilterInstruction, _ offset: UInt32, _ mask: UInt32, _ depth: Int,
    _ table: inout FilterDecisions.Table
  ) -> Int? {
    let value = Value.argument(offset: offset, mask: mask)
    let state = State(place: place, value: value)
    if let node = known[state] { return node }
    guard let ifTrue = follow(place + Int(it.ifTrue), value, depth: depth + 1, &table),
      let ifFalse = follow(place + Int(it.ifFalse), value, depth: depth + 1, &table)
    else { return nil }
    let node =
      ifTrue == ifFalse
      ? ifTrue
      : table.place(
        .test(
          offset: offset, mask: mask, code: it.code, constant: it.constant, ifTrue: ifTrue, ifFalse: ifFalse))
    known[state] = node
    return node
  }
}
