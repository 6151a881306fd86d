//! Names of projects of Compose: nothing that could be taken for a flag, and unique where nobody chose one.

/// Characters of a name: with a service, a number and separators it stays below the 128 that Docker takes well.
pub const MAX_NAME_CHARS: usize = 63;
/// Characters of an id that go into a derived name: the first ones are time, and would be the same for two made at once.
const ID_CHARS: usize = 8;
/// How derived names begin.
const PREFIX: &str = "cut";

/// The name of a stack's project: what was given, in lower case, with only `[a-z0-9_-]` and beginning with a letter or
/// digit; `cut-WORKLOAD-` and the end of `id` when nothing was given, or nothing of it is left.
#[must_use]
pub fn project_name(given: &str, workload: &str, id: &str) -> String {
    let name = clean(given, MAX_NAME_CHARS);
    if !name.is_empty() {
        return name;
    }
    let end: String = id.chars().rev().take(ID_CHARS).collect::<Vec<_>>().into_iter().rev().collect();
    let room = MAX_NAME_CHARS - PREFIX.len() - ID_CHARS - 2;
    let parts = [PREFIX.to_owned(), clean(workload, room), clean(&end, ID_CHARS)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn clean(text: &str, room: usize) -> String {
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let kept = text.chars().flat_map(char::to_lowercase).filter(allowed);
    kept.skip_while(|c| !c.is_ascii_alphanumeric()).take(room).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_or_derived() {
        let of = |given: &str| project_name(given, "shop", "wl_01hzx3v4k5m6n7p8q9r0stvwxy");
        for (given, name) in [
            ("Blog", "blog"),
            ("my.blog 2", "myblog2"),
            ("--file=/etc/x", "fileetcx"),
            ("_-a_b-", "a_b-"),
            ("ÄÖ", "cut-shop-r0stvwxy"),
            ("", "cut-shop-r0stvwxy"),
            ("--", "cut-shop-r0stvwxy"),
        ] {
            assert_eq!(of(given), name, "{given}");
        }
        assert_eq!(of(&"a".repeat(200)).len(), MAX_NAME_CHARS);
        assert_eq!(project_name("", &"w".repeat(200), "0123456789").len(), MAX_NAME_CHARS);
        assert_eq!(project_name("", "-é", "x"), "cut-x");
    }
}
