//! What a word without quotes is: Compose reads YAML 1.1, in which `022` is 18 and a date is a time.

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Truth,
    Number,
    Time,
}

/// What a plain word becomes: its kind and the text that Compose makes of it; `None` is nothing at all.
pub(crate) fn resolve(word: &str) -> Option<(Kind, String)> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return None,
        "true" | "True" | "TRUE" => return Some((Kind::Truth, "true".to_owned())),
        "false" | "False" | "FALSE" => return Some((Kind::Truth, "false".to_owned())),
        _ => {}
    }
    if !word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Some((Kind::Text, word.to_owned()));
    }
    if let Some(time) = time(word) {
        return Some((Kind::Time, time));
    }
    let plain = word.replace('_', "");
    let number = integer(&plain).or_else(|| float(&plain));
    Some(number.map_or_else(|| (Kind::Text, word.to_owned()), |text| (Kind::Number, text)))
}

/// Whether a word says yes; the words of YAML 1.1 count, because Compose turns text into truths where it wants them.
pub(crate) fn truth(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "true" | "yes" | "y" | "on" | "1")
}

/// Whether a word is one that says yes or no.
pub(crate) fn is_truth(word: &str) -> bool {
    truth(word) || matches!(word.to_ascii_lowercase().as_str(), "false" | "no" | "n" | "off" | "0")
}

/// A whole number in base 2, 8, 10 or 16; a leading zero means base 8.
fn integer(text: &str) -> Option<String> {
    let (minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = u64::from_str_radix(digits, base).ok()?;
    Some(if minus && number > 0 { format!("-{number}") } else { number.to_string() })
}

/// A number with a point or an exponent.
fn float(text: &str) -> Option<String> {
    let unsigned = text.trim_start_matches(['-', '+']);
    let special = matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN");
    if special {
        return Some(text.to_owned());
    }
    let allowed = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !begins || text.len() - unsigned.len() > 1 || !text.bytes().all(allowed) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    // Where Go begins to print exponents.
    Some(if number.abs() < 1e21 { number.to_string() } else { format!("{number:e}") })
}

/// A date, with or without a time, as Compose prints it.
fn time(word: &str) -> Option<String> {
    let (date, rest) = match word.find(['T', 't', ' ']) {
        Some(at) => (&word[..at], word[at + 1..].trim()),
        None => (word, ""),
    };
    let mut parts = date.split('-');
    let number = |part: Option<&str>, digits: std::ops::RangeInclusive<usize>| {
        part.filter(|part| digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))?
            .parse::<u16>()
            .ok()
    };
    let year = number(parts.next(), 4..=4)?;
    let month = number(parts.next(), 1..=2).filter(|month| (1..=12).contains(month))?;
    let day = number(parts.next(), 1..=2).filter(|day| (1..=31).contains(day))?;
    if parts.next().is_some() {
        return None;
    }
    if rest.is_empty() {
        return Some(format!("{year:04}-{month:02}-{day:02} 00:00:00 +0000 UTC"));
    }
    let clock = |b: u8| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'+' | b'-' | b'Z' | b' ');
    (rest.contains(':') && rest.bytes().all(clock)).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_what_compose_makes_of_them() {
        for (word, kind, text) in [
            ("022", Kind::Number, "18"),
            ("0o17", Kind::Number, "15"),
            ("0x1F", Kind::Number, "31"),
            ("1_420", Kind::Number, "1420"),
            ("-5", Kind::Number, "-5"),
            ("+5", Kind::Number, "5"),
            ("1e3", Kind::Number, "1000"),
            ("1.50", Kind::Number, "1.5"),
            (".5", Kind::Number, "0.5"),
            ("08", Kind::Number, "8"),
            ("2024-01-02", Kind::Time, "2024-01-02 00:00:00 +0000 UTC"),
            ("2024-01-02T03:04:05Z", Kind::Time, "2024-01-02T03:04:05Z"),
            ("true", Kind::Truth, "true"),
            ("FALSE", Kind::Truth, "false"),
            ("yes", Kind::Text, "yes"),
            ("no", Kind::Text, "no"),
            ("off", Kind::Text, "off"),
            ("222:22", Kind::Text, "222:22"),
            ("10.13.13.0", Kind::Text, "10.13.13.0"),
            ("1.2.3", Kind::Text, "1.2.3"),
            ("-", Kind::Text, "-"),
            ("--help", Kind::Text, "--help"),
            ("5m", Kind::Text, "5m"),
            ("0b2", Kind::Text, "0b2"),
            ("2024-13-02", Kind::Text, "2024-13-02"),
            ("1234-5678", Kind::Text, "1234-5678"),
        ] {
            assert_eq!(resolve(word), Some((kind, text.to_owned())), "{word}");
        }
        for nothing in ["", "~", "null", "NULL"] {
            assert_eq!(resolve(nothing), None);
        }
    }
}
