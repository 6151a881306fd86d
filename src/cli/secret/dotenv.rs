//! `.env` files as values of secrets: `NAME=value` lines. Nothing is filled in: a `$` in a password is a `$`.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// The values of a file. The newest line of a name counts.
///
/// # Errors
/// The first line that means nothing, by its number; what it holds is not repeated.
pub(in crate::cli) fn parse(text: &str) -> Result<BTreeMap<String, Zeroizing<String>>, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (statement, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let plain = statement.trim();
        if plain.is_empty() || plain.starts_with('#') {
            (rest, line) = (after, line + 1);
            continue;
        }
        let bad = |why: &str| format!("line {line}: {why}");
        let (name, _) = statement.split_once('=').ok_or_else(|| bad("no \"=\"; expected NAME=value"))?;
        let begins = &rest[name.len() + 1..];
        let name = name.trim().strip_prefix("export ").map_or(name.trim(), str::trim);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
            return Err(bad("what stands before \"=\" is no name"));
        }
        let (value, left) = value(begins).map_err(bad)?;
        line += rest[..rest.len() - left.len()].bytes().filter(|byte| *byte == b'\n').count();
        found.insert(name.to_owned(), Zeroizing::new(value));
        rest = left;
    }
    Ok(found)
}

/// A value, and what comes after its line.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let text = text.trim_start_matches([' ', '\t']);
    if let Some(inner) = text.strip_prefix('\'') {
        let (value, after) = inner.split_once('\'').ok_or("a quote that does not end")?;
        return Ok((value.to_owned(), after_quote(after)?));
    }
    if let Some(inner) = text.strip_prefix('"') {
        return escaped(inner);
    }
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let comment = line.char_indices().find(|(at, c)| *c == '#' && line[..*at].ends_with([' ', '\t']));
    let value = comment.map_or(line, |(at, _)| &line[..at]);
    Ok((value.trim().to_owned(), after))
}

/// What stands in double quotes.
fn escaped(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, after_quote(&text[at + 1..])?)),
            '\\' => match chars.next().ok_or("a quote that does not end")?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                kept @ ('"' | '\\' | '$') => value.push(kept),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    Err("a quote that does not end")
}

fn after_quote(text: &str) -> Result<&str, &'static str> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') { Ok(after) } else { Err("something stands after the closing quote") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|(name, value)| (name, value.to_string())).collect()
    }

    #[test]
    fn lines_become_values() {
        let text = "\u{feff}# comment\n\nA=1\r\n export B = two words # not this\nC='$x # \"y\"' # c\nD=\"a\\nb\\\"\\$c\\x\"\n\
                    E=p@ss#word$HOME\nF=\nG='one\ntwo'\nA=last";
        let expected = [
            ("A", "last"),
            ("B", "two words"),
            ("C", "$x # \"y\""),
            ("D", "a\nb\"$c\\x"),
            ("E", "p@ss#word$HOME"),
            ("F", ""),
            ("G", "one\ntwo"),
        ];
        assert_eq!(pairs(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_line_that_means_nothing_is_named_and_not_repeated() {
        for (text, line) in [
            ("A=1\nhunter2", 2),
            ("A='x\ny'\n\nB='hunter2", 4),
            ("=hunter2", 1),
            ("hunter 2=x", 1),
            ("A=\"x\" hunter2", 1),
            ("A=\"hunter2\\", 1),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.starts_with(&format!("line {line}:")) && !why.contains("hunter"), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn any_value_in_single_quotes_comes_through(value in "[^']{0,40}", text in ".{0,60}") {
            prop_assert_eq!(pairs(&format!("A='{value}'\nB=2")), [("A".to_owned(), value), ("B".into(), "2".into())]);
            drop(parse(&text));
        }
    }
}
