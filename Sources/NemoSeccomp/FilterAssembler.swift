/// Writes decisions as a short program: one balanced tree of number ranges per architecture, every part that is the same
/// only once. Fewer instructions are checked, translated and tried out faster by the kernel when the filter is loaded.
///
/// BPF only jumps forward, so the program is built from its end: what is jumped to is there already.
struct FilterAssembler {
  private let table: FilterDecisions.Table
  /// The program backwards.
  private var reversed: [FilterInstruction] = []
  /// Where a node's nearest copy begins, as an index of `reversed`.
  private var places: [Int: Int] = [:]
  /// Where a test begins for those who have its word in the accumulator already.
  private var bodies: [Int: Int] = [:]
  /// Tests that someone comes to without their word.
  private var loading: Set<Int> = []

  /// A conditional jump reaches 255 instructions; less is used, for the jumps that may have to be put between.
  private static let reach = 250
  /// Single numbers that are compared one after the other inside of one leaf of the tree.
  private static let exceptionLimit = 4

  /// The program for `decisions`, whose nodes are in `table`.
  static func program(_ decisions: FilterDecisions, _ table: FilterDecisions.Table) -> [FilterInstruction] {
    var assembler = FilterAssembler(table: table)
    assembler.findLoading(decisions.others + decisions.architectures.flatMap(\.ranges))
    var next = assembler.numbers(decisions.others)
    // The last one written is asked for first; 64-bit architectures sort behind their 32-bit ones.
    for (token, ranges) in decisions.architectures {
      let own = assembler.numbers(ranges)
      next = assembler.test(FilterInstruction.jumpIfEqual, token, own, next)
    }
    assembler.begin(at: next)
    if !decisions.architectures.isEmpty {
      assembler.put(FilterInstruction(FilterInstruction.load, FilterData.architecture))
    }
    return assembler.reversed.reversed()
  }

  /// A program that answers every call as `program` does, in fewer instructions where that can be shown; else `program`.
  static func shortened(_ program: [FilterInstruction]) -> [FilterInstruction] {
    var table = FilterDecisions.Table()
    guard let decisions = FilterDecisions(program, &table) else { return program }
    let short = FilterAssembler.program(decisions, table)
    guard short.count < program.count, FilterDecisions(short, &table) == decisions else { return program }
    return short
  }

  private init(table: FilterDecisions.Table) {
    self.table = table
  }

  /// A place to jump to: an instruction, and the node it stands for where it can be copied.
  private struct Target {
    var place: Int
    var node: Int?
  }

  private mutating func put(_ instruction: FilterInstruction) {
    reversed.append(instruction)
  }

  /// Makes `target` the very next instruction.
  private mutating func begin(at target: Target) {
    let distance = reversed.count - 1 - target.place
    if distance > 0 { put(FilterInstruction(FilterInstruction.jump, UInt32(distance))) }
  }

  /// The target itself, or a nearer copy or jump when it is too far for a conditional jump.
  private mutating func near(_ target: Target) -> Target {
    var target = target
    if let node = target.node, let place = places[node] { target.place = place }
    guard reversed.count - target.place > FilterAssembler.reach else { return target }
    if let node = target.node, case .answer(let value) = table.nodes[node] {
      put(FilterInstruction(FilterInstruction.answer, value))
    } else {
      put(FilterInstruction(FilterInstruction.jump, UInt32(reversed.count - 1 - target.place)))
    }
    let place = reversed.count - 1
    if let node = target.node { places[node] = place }
    return Target(place: place, node: target.node)
  }

  private mutating func test(_ code: UInt16, _ constant: UInt32, _ ifTrue: Target, _ ifFalse: Target) -> Target {
    let one = near(ifTrue)
    let other = near(ifFalse)
    put(
      FilterInstruction(
        code, constant, UInt8(truncatingIfNeeded: reversed.count - 1 - one.place),
        UInt8(truncatingIfNeeded: reversed.count - 1 - other.place)))
    return Target(place: reversed.count - 1, node: nil)
  }

  /// The program of a node: a return, or a test of an argument with its loads.
  private mutating func node(_ number: Int) -> Target {
    if let place = places[number] { return Target(place: place, node: number) }
    switch table.nodes[number] {
    case .answer(let value): put(FilterInstruction(FilterInstruction.answer, value))
    case .test(let offset, let mask, let code, let constant, let ifTrue, let ifFalse):
      let one = next(ifTrue, after: number)
      let other = next(ifFalse, after: number)
      let body = test(code, constant, one, other)
      bodies[number] = body.place
      guard loading.contains(number) else { return body }
      if mask != UInt32.max { put(FilterInstruction(FilterInstruction.and, mask)) }
      put(FilterInstruction(FilterInstruction.load, offset))
    }
    places[number] = reversed.count - 1
    return Target(place: reversed.count - 1, node: number)
  }

  /// Where the test `parent` goes on with `number`: behind its load when both look at the same word.
  private mutating func next(_ number: Int, after parent: Int) -> Target {
    guard sameWord(number, parent) else { return node(number) }
    if let place = bodies[number] { return Target(place: place, node: nil) }
    let whole = node(number)
    return Target(place: bodies[number] ?? whole.place, node: nil)
  }

  private func sameWord(_ a: Int, _ b: Int) -> Bool {
    guard case .test(let offset, let mask, _, _, _, _) = table.nodes[a],
      case .test(let otherOffset, let otherMask, _, _, _, _) = table.nodes[b]
    else { return false }
    return offset == otherOffset && mask == otherMask
  }

  /// Fills `loading` for everything below the nodes of `ranges`.
  private mutating func findLoading(_ ranges: [FilterDecisions.Range]) {
    var seen: Set<Int> = []
    var open = ranges.map(\.node)
    loading.formUnion(open)
    while let number = open.popLast() {
      guard seen.insert(number).inserted, case .test(_, _, _, _, let ifTrue, let ifFalse) = table.nodes[number] else {
        continue
      }
      for child in [ifTrue, ifFalse] {
        if !sameWord(child, number) { loading.insert(child) }
        open.append(child)
      }
    }
  }

  /// One architecture: the load of the number and its tree.
  private mutating func numbers(_ ranges: [FilterDecisions.Range]) -> Target {
    let leaves = FilterAssembler.leaves(ranges)
    // A tree needs the number in the accumulator; a single answer does not.
    let top = tree(leaves[...])
    guard ranges.count > 1 else { return top }
    begin(at: top)
    put(FilterInstruction(FilterInstruction.load, FilterData.number))
    return Target(place: reversed.count - 1, node: nil)
  }

  /// A run of numbers with one node, but for single numbers in it.
  private struct Leaf {
    var start: UInt32
    var node: Int
    var exceptions: [FilterDecisions.Range] = []
    /// How often the kernel comes here while it loads the filter, and once more.
    var weight: UInt32 = 1
  }

  /// A single number between two ranges alike costs one comparison as exception and two as range.
  private static func leaves(_ ranges: [FilterDecisions.Range]) -> [Leaf] {
    var leaves: [Leaf] = []
    var i = 0
    while i < ranges.count {
      var leaf = Leaf(start: ranges[i].start, node: ranges[i].node)
      while i + 2 < ranges.count, ranges[i + 2].node == leaf.node, ranges[i + 1].start &+ 1 == ranges[i + 2].start,
        leaf.exceptions.count < exceptionLimit
      {
        leaf.exceptions.append(ranges[i + 1])
        i += 2
      }
      i += 1
      let end = i < ranges.count ? ranges[i].start : UInt32.max
      leaf.weight += min(end, numbersTried) - min(leaf.start, numbersTried)
      leaves.append(leaf)
    }
    return leaves
  }

  private mutating func tree(_ leaves: ArraySlice<Leaf>) -> Target {
    guard leaves.count > 1 else {
      guard let leaf = leaves.first else { return Target(place: reversed.count - 1, node: nil) }
      var target = node(leaf.node)
      for exception in leaf.exceptions {
        target = test(FilterInstruction.jumpIfEqual, exception.start, node(exception.node), target)
      }
      return target
    }
    let middle = FilterAssembler.split(leaves)
    let start = leaves[middle].start
    let right = tree(leaves[middle...])
    let left = tree(leaves[..<middle])
    return test(FilterInstruction.jumpIfGreaterOrEqual, start, right, left)
  }

  /// Where to cut so that both halves are about as likely: the kernel tries every number it has when it loads the filter
  /// (seccomp_cache_prepare), and all of them are below this.
  private static let numbersTried: UInt32 = 512

  private static func split(_ leaves: ArraySlice<Leaf>) -> Int {
    let half = leaves.reduce(0) { $0 + $1.weight } / 2
    var sum: UInt32 = 0
    for (i, leaf) in leaves.enumerated() {
      // The cut nearest to the half, and never before the first or behind the last leaf.
      if sum + leaf.weight / 2 >= half { return leaves.startIndex + min(max(i, 1), leaves.count - 1) }
      sum += leaf.weight
    }
    return leaves.endIndex - 1
  }
}
