//! Numbers and times as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::reading::Rate;

/// All digits, in groups of three: `1 234 567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// All digits if they fit into `width`, else the three that matter: `1.23 G`.
pub(super) fn fitted(number: u64, width: usize) -> String {
    let all = grouped(number);
    if all.len() <= width {
        all
    } else {
        scaled(number)
    }
}

/// Frames a second, at most `width` wide.
pub(super) fn rate(rate: Rate, width: usize) -> String {
    match rate {
        Rate::Zero => "0".into(),
        Rate::Trickle => "<1".into(),
        Rate::Whole(rate) => fitted(rate, width),
    }
}

/// Three digits that matter and a decimal prefix: `1.23 M`, six wide at most. Without a prefix two
/// blanks take its place, so that digits stand below digits.
pub(crate) fn scaled(number: u64) -> String {
    if number < 1_000 {
        return format!("{number}  ");
    }
    let number = u128::from(number);
    let mut unit = 1;
    for prefix in ["k", "M", "G", "T", "P", "E"] {
        unit *= 1_000;
        // Rounded before the digits are counted: 999 999 is 1.00 M and not 1000 k.
        let nearest = |parts: u128| (number * parts + unit / 2) / unit;
        let (hundredths, tenths, whole) = (nearest(100), nearest(10), nearest(1));
        if hundredths < 1_000 {
            return format!("{}.{:02} {prefix}", hundredths / 100, hundredths % 100);
        }
        if tenths < 1_000 {
            return format!("{}.{} {prefix}", tenths / 10, tenths % 10);
        }
        if whole < 1_000 {
            return format!("{whole} {prefix}");
        }
    }
    // Not reached: 2^64 is 18.4 E.
    number.to_string()
}

/// So many in this time, a second, to the nearest; of no time as of the shortest there is.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos().max(1);
    let rate = (u128::from(count) * 1_000_000_000 + nanos / 2) / nanos;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// A part of a whole, never rounded to all or to nothing: `98.7 %`.
pub(super) fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".into();
    }
    if part >= whole {
        return "100 %".into();
    }
    let (part, whole) = (u128::from(part), u128::from(whole));
    match (part * 1_000 + whole / 2) / whole {
        0 => "<0.1 %".into(),
        1_000 => ">99.9%".into(),
        thousandths => format!("{}.{} %", thousandths / 10, thousandths % 10),
    }
}

/// Time since the guard was attached: `2m 05s`. The smaller unit has two digits, so that the text
/// keeps its width.
pub(crate) fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {seconds:02}s"),
        (0, ..) => format!("{hours}h {minutes:02}m {seconds:02}s"),
        _ => format!("{days}d {hours:02}h {minutes:02}m"),
    }
}

/// Time of day, UTC: `12:03:04Z`.
pub(super) fn clock(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        % 86_400;
    format!(
        "{:02}:{:02}:{:02}Z",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// At most `width` characters of `text`, cut behind a word: `None of SYN, FIN…`.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(width).collect();
    // The last character gives way to the ellipsis, and a word that it is part of as well, unless
    // that would leave much room empty.
    let word = kept.rfind(' ').filter(|end| end * 3 > width * 2);
    let end = word.or_else(|| kept.char_indices().last().map(|(last, _)| last));
    kept.truncate(end.unwrap_or(0));
    let kept = kept.trim_end_matches([',', ':', ' ']);
    if width == 0 {
        String::new()
    } else {
        format!("{kept}…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1 000"),
            (12_345, "12 345"),
            (1_234_567, "1 234 567"),
        ];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_scaled_and_never_wider_than_six() {
        let cases = [
            (0, "0  "),
            (999, "999  "),
            (1_000, "1.00 k"),
            (9_994, "9.99 k"),
            (9_995, "10.0 k"),
            (99_949, "99.9 k"),
            (99_950, "100 k"),
            (999_499, "999 k"),
            (999_500, "1.00 M"),
            (12_345_678, "12.3 M"),
            (u64::MAX, "18.4 E"),
        ];
        for (number, text) in cases {
            assert_eq!(scaled(number), text);
            assert!(text.len() <= 6);
        }
        assert_eq!(fitted(9_999_999, 9), "9 999 999");
        assert_eq!(fitted(10_000_000, 9), "10.0 M");
    }

    #[test]
    fn a_share_is_all_or_nothing_only_if_it_is() {
        let cases = [
            (0, 10, "0 %"),
            (0, 0, "0 %"),
            (1, 1_000_000, "<0.1 %"),
            (1, 3, "33.3 %"),
            (999_999, 1_000_000, ">99.9%"),
            (7, 7, "100 %"),
        ];
        for (part, whole, text) in cases {
            assert_eq!(share(part, whole), text);
        }
    }

    #[test]
    fn times_keep_their_width() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (125, "2m 05s"),
            (3_600, "1h 00m 00s"),
            (86_400 + 2 * 3_600 + 180, "1d 02h 03m"),
        ];
        for (seconds, text) in cases {
            assert_eq!(uptime(Duration::from_secs(seconds)), text);
        }
        assert_eq!(
            clock(UNIX_EPOCH + Duration::from_secs(86_400 * 3 + 43_384)),
            "12:03:04Z"
        );
    }

    #[test]
    fn text_is_cut_behind_a_word_if_one_ends_near() {
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(
            shortened("None of SYN, FIN and RST", 17),
            "None of SYN, FIN…"
        );
        assert_eq!(shortened("None of SYN, FIN and RST", 14), "None of SYN…");
        assert_eq!(shortened("indivisible", 5), "indi…");
        assert_eq!(shortened("anything", 1), "…");
        assert_eq!(shortened("anything", 0), "");
    }
}
