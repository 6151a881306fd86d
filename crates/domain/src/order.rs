//! What comes after what: no workload may wait for itself, however far around.

use std::collections::BTreeMap;

/// Who comes after whom, by name.
pub type After<'a> = BTreeMap<&'a str, &'a [String]>;

/// A circle, if there is one: each of these comes after the next, and the last one is the first.
#[must_use]
pub fn circle(after: &After<'_>) -> Option<Vec<String>> {
    let mut done = Vec::new();
    after.keys().find_map(|start| walk(after, start, &mut Vec::new(), &mut done))
}

/// The circle as a line for a person: `a comes after b comes after a`.
#[must_use]
pub fn told(circle: &[String]) -> String {
    circle.join(" comes after ")
}

fn walk<'a>(after: &After<'a>, at: &'a str, path: &mut Vec<&'a str>, done: &mut Vec<&'a str>) -> Option<Vec<String>> {
    if let Some(from) = path.iter().position(|name| *name == at) {
        return Some(path[from..].iter().chain([&at]).map(|name| (*name).to_owned()).collect());
    }
    if done.contains(&at) {
        return None;
    }
    path.push(at);
    let found = after.get(at).into_iter().copied().flatten().find_map(|next| walk(after, next, path, done));
    path.pop();
    done.push(at);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &[&str])]) -> Option<String> {
        let owned: Vec<(&str, Vec<String>)> =
            lines.iter().map(|(name, all)| (*name, all.iter().map(|one| (*one).to_owned()).collect())).collect();
        let after: After<'_> = owned.iter().map(|(name, all)| (*name, &all[..])).collect();
        circle(&after).map(|found| told(&found))
    }

    #[test]
    fn a_circle_is_found_wherever_it_is_entered() {
        assert_eq!(of(&[("a", &["b"]), ("b", &["c"]), ("c", &[])]), None);
        assert_eq!(of(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &["elsewhere"])]), None);
        assert_eq!(of(&[("a", &["a"])]).as_deref(), Some("a comes after a"));
        let text = of(&[("a", &["b"]), ("b", &["c"]), ("c", &["d"]), ("d", &["b"])]);
        assert_eq!(text.as_deref(), Some("b comes after c comes after d comes after b"));
        assert_eq!(
            of(&[("a", &[]), ("b", &["a", "c"]), ("c", &["b"])]).as_deref(),
            Some("b comes after c comes after b")
        );
    }
}
