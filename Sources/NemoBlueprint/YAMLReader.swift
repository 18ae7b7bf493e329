import NemoPolicy
import Yams

/// Reads YAML into positioned values, strictly.
enum YAMLReader {
  /// The file's value; nil with an error in `diagnostics` where it cannot be read.
  static func read(_ bytes: [UInt8], _ diagnostics: inout Diagnostics) -> Value? {
    do {
      let text = try YAMLGuard.check(bytes)
      let parser = try Parser(yaml: text, encoding: .utf8)
      guard let root = try parser.singleRoot() else {
        diagnostics.error(Position(line: 1, column: 1), "", "the file is empty")
        return nil
      }
      return value(root, "", &diagnostics)
    } catch let refusal as YAMLGuard.Refusal {
      diagnostics.error(refusal.position, "", "the file \(refusal.message)")
    } catch let error as YamlError {
      report(error, &diagnostics)
    } catch {
      diagnostics.error(Position(line: 1, column: 1), "", "the file cannot be read: \(error)")
    }
    return nil
  }

  private static func report(_ error: YamlError, _ diagnostics: inout Diagnostics) {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      diagnostics.error(position(mark), "", "not YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      let keys = duplicates.map(Diagnostic.quoted).joined(separator: ", ")
      diagnostics.error(position(context.mark), "", "the key \(keys) is there more than once")
    case .reader(let problem, let offset, _, _):
      diagnostics.error(Position(line: 1, column: (offset ?? 0) + 1), "", "not YAML: \(problem)")
    default:
      diagnostics.error(Position(line: 1, column: 1), "", "not YAML")
    }
  }

  private static func position(_ mark: Mark?) -> Position {
    Position(line: max(mark?.line ?? 1, 1), column: max(mark?.column ?? 1, 1))
  }

  private static func value(_ node: Node, _ path: String, _ diagnostics: inout Diagnostics) -> Value {
    let place = position(node.mark)
    switch node {
    case .scalar(let scalar):
      return Value(kind: .scalar(scalar.string, isPlain: scalar.style == .plain), position: place)
    case .sequence(let sequence):
      let values = sequence.enumerated().map { value($0.element, "\(path)[\($0.offset)]", &diagnostics) }
      return Value(kind: .list(values), position: place)
    case .mapping(let mapping):
      var entries: [Value.Entry] = []
      for (key, member) in mapping {
        guard let scalar = key.scalar else {
          diagnostics.error(position(key.mark), path, "a key must be a single word")
          continue
        }
        if scalar.string == "<<" && scalar.style == .plain {
          diagnostics.error(position(key.mark), path, "merge keys (<<) are not allowed; write the values out")
          continue
        }
        let name = path.isEmpty ? scalar.string : "\(path).\(scalar.string)"
        entries.append(
          Value.Entry(key: scalar.string, position: position(key.mark), value: value(member, name, &diagnostics)))
      }
      return Value(kind: .map(entries), position: place)
    case .alias:
      diagnostics.error(place, path, "aliases are not allowed; write the value out")
      return Value(kind: .scalar("", isPlain: true), position: place)
    }
  }
}
