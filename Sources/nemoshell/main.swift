import NemoJSON
import NemoKernel
do throws(Failure) {
  let d = try JSONDocument(parsing: Array(#"{"a":{"b":[1,18446744073709551615, "x"]}}"#.utf8), subject: "test")
  let _: UInt64 = try d.root.required("a").required("b").element(1).integer()
  let _: String = try d.root.required("a").required("b").element(1).string()
} catch { print(error.message) }
