//! Which of the compressed files a client takes.

use http::header::{ACCEPT_ENCODING, HeaderMap};

use crate::site::Encoding;

/// Weights of what is not named: nothing, and everything that `*` says.
const REFUSED: u16 = 0;

/// The variant that the client wants most, the smallest of equals; `None`: the file itself.
pub(super) fn choose(variants: &[(Encoding, usize)], headers: &HeaderMap) -> Option<(Encoding, usize)> {
    if variants.is_empty() {
        return None;
    }
    let value = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
    let (mut best, mut most) = (None, REFUSED);
    for (encoding, number) in variants {
        let weight = weight(value, encoding.token());
        if weight > most {
            (best, most) = (Some((*encoding, *number)), weight);
        }
    }
    // Named with more weight than any of them, the file as it is.
    let plain = value.split(',').find_map(|part| parse(part).filter(|(name, _)| name.eq_ignore_ascii_case("identity")));
    best.filter(|_| plain.is_none_or(|(_, weight)| weight <= most))
}

fn weight(value: &str, token: &str) -> u16 {
    let mut any = REFUSED;
    for (name, weight) in value.split(',').filter_map(parse) {
        if name.eq_ignore_ascii_case(token) || (token == "gzip" && name.eq_ignore_ascii_case("x-gzip")) {
            return weight;
        }
        if name == "*" {
            any = weight;
        }
    }
    any
}

/// A coding and its weight in thousandths.
fn parse(part: &str) -> Option<(&str, u16)> {
    let mut parts = part.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((name, q.map_or(1_000, thousandths)))
}

fn thousandths(q: &str) -> u16 {
    let (whole, part) = q.split_once('.').unwrap_or((q, ""));
    let digit = |n: usize| part.as_bytes().get(n).filter(|b| b.is_ascii_digit()).map_or(0, |b| u16::from(b - b'0'));
    match whole {
        "0" | "" => digit(0) * 100 + digit(1) * 10 + digit(2),
        "1" => 1_000,
        _ => REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_and_size_between_equals() {
        let variants = [(Encoding::Brotli, 1), (Encoding::Zstd, 2), (Encoding::Gzip, 3)];
        let chosen = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            choose(&variants, &headers).map(|(encoding, _)| encoding.token())
        };
        assert_eq!(chosen("gzip, deflate, br, zstd"), Some("br"));
        assert_eq!(chosen("gzip, deflate"), Some("gzip"));
        assert_eq!(chosen("br;q=0.5, gzip;q=0.8"), Some("gzip"));
        assert_eq!(chosen("br;q=0, *"), Some("zstd"));
        assert_eq!(chosen("br;q=0, gzip; q=0.001"), Some("gzip"));
        assert_eq!(chosen("*;q=0"), None);
        assert_eq!(chosen("identity, gzip;q=0.5"), None);
        assert_eq!(chosen("identity;q=0, GZIP"), Some("gzip"));
        assert_eq!(chosen("deflate"), None);
        assert_eq!(chosen("x-gzip"), Some("gzip"));
        assert_eq!(chosen(";q=1,,"), None);
        assert_eq!(choose(&variants, &HeaderMap::new()), None);
    }
}
