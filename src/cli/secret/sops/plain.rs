//! What stands in the clear beside sealed values counts for the MAC too, as the value that SOPS takes it for.

/// What makes a text of digits another number than it looks like, or no number.
const SIGNS: [char; 3] = ['+', '-', '.'];

/// A value that was written without quotes.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Plain {
    /// A text.
    Text,
    /// A number or truth: as it counts for the MAC, and as people write it.
    Value(String, String),
    /// It depends on who reads it.
    Doubtful,
}

/// What a value is that was written without quotes.
pub(super) fn plain(text: &str) -> Plain {
    match text {
        "true" | "True" | "TRUE" => return Plain::Value("True".to_owned(), "true".to_owned()),
        "false" | "False" | "FALSE" => return Plain::Value("False".to_owned(), "false".to_owned()),
        _ => (),
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || SIGNS.contains(&c)) {
        return Plain::Text;
    }
    let digits = text.trim_start_matches(['+', '-']);
    let decimal = digits == "0" || !digits.starts_with('0');
    if decimal && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // What is larger is of another kind to each reader.
        return text.parse::<i64>().map_or(Plain::Doubtful, |number| same(number.to_string()));
    }
    if is_float(digits) {
        return text.parse::<f64>().map_or(Plain::Doubtful, |number| same(number.to_string()));
    }
    if is_odd(digits) || is_date(text) { Plain::Doubtful } else { Plain::Text }
}

fn same(text: String) -> Plain {
    Plain::Value(text.clone(), text)
}

/// `1.5`, `.5`, `1.`, `1e3`; a whole number with zeros before it is none of these.
fn is_float(digits: &str) -> bool {
    let (mantissa, exponent) = digits.split_once(['e', 'E']).map_or((digits, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.map(|text| text.trim_start_matches(['+', '-']));
    let is = exponent.is_some() || mantissa.contains('.');
    is && all(whole)
        && all(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|text| !text.is_empty() && all(text))
}

/// Numbers of other bases, with zeros before them or blanks between, and what is no number at all.
fn is_odd(digits: &str) -> bool {
    let lower = digits.replace('_', "").to_ascii_lowercase();
    let based = ["0x", "0o", "0b"].iter().filter_map(|base| lower.strip_prefix(base));
    let based = based.into_iter().any(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let zeros = !lower.is_empty() && lower.bytes().all(|byte| byte.is_ascii_digit());
    based || zeros || matches!(lower.as_str(), ".inf" | ".nan")
}

/// `2026-01-31` and what may follow such a day.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>, most: usize| {
        part.is_some_and(|part| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (year, month, rest) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let day = rest.split(['T', 't', ' ']).next();
    digits(year, 4) && year.is_some_and(|year| year.len() == 4) && digits(month, 2) && digits(day, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_sops_takes_it_for() {
        for (text, counts, written) in [
            ("true", "True", "true"),
            ("False", "False", "false"),
            ("5432", "5432", "5432"),
            ("-7", "-7", "-7"),
            ("+7", "7", "7"),
            ("0", "0", "0"),
            ("1.50", "1.5", "1.5"),
            ("2.0", "2", "2"),
            (".5", "0.5", "0.5"),
            ("1e3", "1000", "1000"),
        ] {
            assert_eq!(plain(text), Plain::Value(counts.to_owned(), written.to_owned()), "{text}");
        }
        for text in
            ["hello", "10.0.0.1", "12abc", "1.2.3", "yes", "-", "--a", "4 5", "2026-01", "1-2-3", "ENC[x]", "e5"]
        {
            assert_eq!(plain(text), Plain::Text, "{text}");
        }
        for text in [
            "0x10",
            "010",
            "1_000",
            "0b1",
            "0o7",
            ".inf",
            "-.NaN",
            "2026-01-31",
            "2026-1-3 10:00:00",
            "99999999999999999999",
        ] {
            assert_eq!(plain(text), Plain::Doubtful, "{text}");
        }
    }
}
