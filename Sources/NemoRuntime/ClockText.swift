import Glibc
import NemoKernel

enum ClockText {
  static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return text(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
  }

  /// UTC of seconds since 1970, not negative. The C library would read the host's time zone for it.
  static func text(seconds: Int, nanoseconds: Int) -> String {
    let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86400)
    // Years that begin in March have the leap day at their end, and repeat after 400 of them.
    let era = (days + 719_468) / 146_097
    let day = (days + 719_468) % 146_097
    let yearOfEra = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
    let dayOfYear = day - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    let date = padded(year, 4) + "-" + padded(month, 2) + "-" + padded(dayOfMonth, 2)
    let clock = padded(rest / 3600, 2) + ":" + padded(rest / 60 % 60, 2) + ":" + padded(rest % 60, 2)
    return date + "T" + clock + "." + padded(nanoseconds, 9) + "Z"
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(decimal: number)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }
}
