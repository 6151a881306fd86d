//! `$VAR`, `${VAR}` and its forms, filled in as Compose does.
//!
//! `$` before anything else stands for itself, so that `$2`, `$?` and `$(…)` of shell commands pass; `$$` is `$`.

use crate::variables::Variables;

/// Defaults within defaults: people write two.
const MAX_NESTING: usize = 16;

/// A text with its variables filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filled {
    pub(crate) text: String,
    /// Variables that were looked up.
    pub(crate) asked: Vec<String>,
    /// Variables that were not set, where nothing stood in for them.
    pub(crate) unset: Vec<String>,
}

/// Why a text cannot be filled in. None of them repeats a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfilled {
    /// `${` without a form that has a meaning.
    Form,
    /// `${NAME:?…}` of a variable that is not set, or empty; with what the file says about it.
    Required { name: String, why: String },
    /// More defaults within one another, or more text, than is read.
    Limit,
}

/// Fills in the variables of a text, to at most `room` bytes.
///
/// # Errors
/// A form without meaning, a variable that the file requires, or more than the limits allow.
pub(crate) fn fill(text: &str, variables: &Variables, room: usize) -> Result<Filled, Unfilled> {
    let mut filled = Filled::default();
    Filler { variables, room }.run(text, &mut filled, 0)?;
    Ok(filled)
}

/// A way of standing in for a variable, after its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Default,
    Required,
    Replacement,
}

struct Filler<'a> {
    variables: &'a Variables,
    room: usize,
}

impl Filler<'_> {
    fn run(&self, text: &str, out: &mut Filled, depth: usize) -> Result<(), Unfilled> {
        if depth > MAX_NESTING {
            return Err(Unfilled::Limit);
        }
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.text.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix('$') {
                out.text.push('$');
                rest = after;
            } else if let Some(inner) = after.strip_prefix('{') {
                let length = closing(inner).ok_or(Unfilled::Form)?;
                self.braced(&inner[..length], out, depth)?;
                rest = &inner[length + 1..];
            } else {
                let length = name_length(after);
                self.plain(&after[..length], out);
                rest = &after[length..];
            }
            self.judge(out)?;
        }
        out.text.push_str(rest);
        self.judge(out)
    }

    fn judge(&self, out: &Filled) -> Result<(), Unfilled> {
        if out.text.len() > self.room { Err(Unfilled::Limit) } else { Ok(()) }
    }

    /// A variable by its name; without one the sign stands for itself.
    fn plain(&self, name: &str, out: &mut Filled) {
        if name.is_empty() {
            out.text.push('$');
            return;
        }
        out.asked.push(name.to_owned());
        match self.variables.get(name) {
            Some(value) => out.text.push_str(value),
            None => out.unset.push(name.to_owned()),
        }
    }

    fn braced(&self, inner: &str, out: &mut Filled, depth: usize) -> Result<(), Unfilled> {
        let length = name_length(inner);
        let (name, rest) = inner.split_at(length);
        if name.is_empty() {
            return Err(Unfilled::Form);
        }
        let (form, empty_counts, word) = form(rest).ok_or(Unfilled::Form)?;
        if form == Form::Plain {
            self.plain(name, out);
            return Ok(());
        }
        out.asked.push(name.to_owned());
        let value = self.variables.get(name).filter(|value| !empty_counts || !value.is_empty());
        match (form, value) {
            (Form::Plain | Form::Default | Form::Required, Some(value)) => out.text.push_str(value),
            (Form::Default, None) | (Form::Replacement, Some(_)) => self.run(word, out, depth + 1)?,
            (Form::Plain | Form::Replacement, None) => {}
            (Form::Required, None) => {
                return Err(Unfilled::Required { name: name.to_owned(), why: word.to_owned() });
            }
        }
        Ok(())
    }
}

/// What follows a name: the form, whether an empty value counts as none, and the word of the form.
fn form(rest: &str) -> Option<(Form, bool, &str)> {
    if rest.is_empty() {
        return Some((Form::Plain, false, ""));
    }
    let (empty_counts, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (sign, word) = rest.split_at_checked(1)?;
    let form = match sign {
        "-" => Form::Default,
        "?" => Form::Required,
        "+" => Form::Replacement,
        _ => return None,
    };
    Some((form, empty_counts, word))
}

/// Where the brace that is open closes; braces of variables within it are passed over.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Bytes of the name at the beginning; 0 where there is none.
fn name_length(text: &str) -> usize {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins {
        return 0;
    }
    text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let given = [("A", "one"), ("EMPTY", ""), ("MONEY", "$A")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        Variables { given: given.into(), ..Variables::default() }
    }

    fn filled(text: &str) -> String {
        fill(text, &variables(), 1000).unwrap().text
    }

    #[test]
    fn forms() {
        for (text, expected) in [
            ("$A-${A}", "one-one"),
            ("$$A $${A}", "$A ${A}"),
            ("${EMPTY:-x}${EMPTY-x}", "x"),
            ("${NO:-x}${NO-y}", "xy"),
            ("${A:+set}${NO:+set}${EMPTY:+set}${EMPTY+set}", "setset"),
            ("${NO:-${A}}", "one"),
            ("${NO:-${NEITHER:-deep}}!", "deep!"),
            ("${A:?needed}", "one"),
            ("${EMPTY?needed}", ""),
            ("$MONEY", "$A"),
            ("$2 $? $(id) $", "$2 $? $(id) $"),
            ("${NO:-a:b}", "a:b"),
            ("ä$A", "äone"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_set_is_told() {
        let told = fill("$NO ${NEITHER} ${GIVEN:-}", &variables(), 1000).unwrap();
        assert_eq!((told.unset, told.asked.len()), (vec!["NO".to_owned(), "NEITHER".to_owned()], 3));
    }

    #[test]
    fn what_cannot_be_filled_in() {
        for text in ["${", "${}", "${A", "${A!}", "${1}", "${A:}", "${ A}", "${A:=x}"] {
            assert_eq!(fill(text, &variables(), 1000), Err(Unfilled::Form), "{text}");
        }
        for text in ["${NO:?say why}", "${EMPTY:?say why}", "${NO?say why}"] {
            assert!(matches!(fill(text, &variables(), 9), Err(Unfilled::Required { why, .. }) if why == "say why"));
        }
        assert_eq!(fill("$A$A$A$A", &variables(), 10), Err(Unfilled::Limit));
        let deep = format!("{}{}", "${NO:-".repeat(1000), "}".repeat(1000));
        assert_eq!(fill(&deep, &variables(), 1000), Err(Unfilled::Limit));
    }
}
