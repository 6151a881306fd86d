//! What a file of SOPS says of itself.

use regex::{Regex, RegexBuilder};

use super::tree::Node;
use super::{BY_SOPS, Form};

/// Under what it stands in YAML and JSON.
const NESTED: &str = "sops";
/// With what its lines begin in a dotenv file.
pub(super) const FLAT: &str = "sops_";
/// Before a name within a mapping of a dotenv file, and before the number of one in a list.
const MAP: &str = "__map_";
const LIST: &str = "__list_";
/// The keys that are none of age.
const OTHERS: [&str; 6] = ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp"];
/// Keys of groups, each of which has a part of the key of the file.
const GROUPS: &str = "key_groups";
/// Rules that look at comments.
const BY_COMMENTS: [&str; 2] = ["unencrypted_comment_regex", "encrypted_comment_regex"];
/// The rule where a file names none.
const USUAL_SUFFIX: &str = "_unencrypted";
/// Bytes that a pattern may take once it is compiled: people write a few names.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// What a file says of itself.
pub(super) struct Metadata {
    /// The key of the file, once for each identity.
    pub(super) sealed_for_age: Vec<String>,
    /// Whose these are.
    pub(super) recipients: Vec<String>,
    /// Which values are sealed.
    pub(super) rule: Rule,
    /// The MAC, sealed.
    pub(super) mac: String,
    /// When it was changed last: the place of the MAC.
    pub(super) modified: String,
    /// Whether the MAC goes over sealed values alone.
    pub(super) only_sealed: bool,
}

/// Which values are sealed, by the names on the way to them.
pub(super) enum Rule {
    /// All but those below such an end of a name.
    NotBelowSuffix(String),
    /// Only those below such an end.
    BelowSuffix(String),
    /// All but those below such a name.
    NotBelow(Regex),
    /// Only those below such a name.
    Below(Regex),
}

impl Rule {
    pub(super) fn seals(&self, path: &[String]) -> bool {
        match self {
            Self::NotBelowSuffix(suffix) => !path.iter().any(|name| name.ends_with(suffix)),
            Self::BelowSuffix(suffix) => path.iter().any(|name| name.ends_with(suffix)),
            Self::NotBelow(pattern) => !path.iter().any(|name| pattern.is_match(name)),
            Self::Below(pattern) => path.iter().any(|name| pattern.is_match(name)),
        }
    }
}

/// The values of a file, and what it says of itself.
///
/// # Errors
/// It says nothing of itself, or what is not read here.
pub(super) fn apart(root: Node, form: Form) -> Result<(Vec<(String, Node)>, Metadata), String> {
    let none = || format!("it has no part of SOPS that is read here (YAML, JSON and dotenv are): {BY_SOPS}");
    let Node::Map(entries) = root else { return Err(none()) };
    let ours = |name: &str| if form == Form::Dotenv { name.starts_with(FLAT) } else { name == NESTED };
    let (of_sops, values): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(name, _)| ours(name));
    let said = match form {
        Form::Dotenv => nested(of_sops)?,
        Form::Json | Form::Yaml => of_sops.into_iter().next().map(|(_, node)| node).ok_or_else(none)?,
    };
    Ok((values, metadata(&said)?))
}

/// The lines of a dotenv file as the mapping that they were: as far as it is read here, one level of lists of mappings.
fn nested(lines: Vec<(String, Node)>) -> Result<Node, String> {
    let mut said: Vec<(String, Node)> = Vec::new();
    for (name, value) in lines {
        let name = name.strip_prefix(FLAT).unwrap_or(&name).to_owned();
        let Some((list, place)) = name.split_once(LIST) else {
            said.push((name, value));
            continue;
        };
        let (number, inner) = place.split_once(MAP).unwrap_or((place, ""));
        let place = (list.to_owned(), number.parse::<usize>().map_err(|_| format!("{FLAT}{name} is no line of SOPS"))?);
        add(&mut said, place, (inner.to_owned(), value))?;
    }
    Ok(Node::Map(said))
}

/// Adds an entry to the mapping at a place of a list. SOPS writes places in order, from 0 on.
fn add(said: &mut Vec<(String, Node)>, (list, number): (String, usize), entry: (String, Node)) -> Result<(), String> {
    let position = said.iter().position(|(known, _)| *known == list).unwrap_or_else(|| {
        said.push((list.clone(), Node::List(Vec::new())));
        said.len() - 1
    });
    let out_of_order = || format!("the lines {FLAT}{list} are out of order");
    let Some((_, Node::List(places))) = said.get_mut(position) else { return Err(out_of_order()) };
    if places.len() == number {
        places.push(Node::Map(Vec::new()));
    }
    match places.get_mut(number) {
        Some(Node::Map(entries)) => entries.push(entry),
        _ => return Err(out_of_order()),
    }
    Ok(())
}

fn metadata(said: &Node) -> Result<Metadata, String> {
    let list = |name: &str| match said.get(name) {
        Some(Node::List(list)) => list.as_slice(),
        _ => &[],
    };
    let text = |name: &str| said.get(name).and_then(Node::written).filter(|text| !text.is_empty());
    if !list(GROUPS).is_empty() {
        return Err(format!("it takes a key of each of several groups, which is left to SOPS: {BY_SOPS}"));
    }
    let keys = list("age");
    if keys.is_empty() {
        let others: Vec<_> = OTHERS.into_iter().filter(|name| !list(name).is_empty()).collect();
        let others = if others.is_empty() { "nobody".to_owned() } else { others.join(", ") };
        return Err(format!("it is encrypted by SOPS for {others} and not for age: {BY_SOPS}"));
    }
    if let Some(rule) = BY_COMMENTS.into_iter().find(|name| text(name).is_some()) {
        return Err(format!("which of its values are encrypted depends on comments ({rule}): {BY_SOPS}"));
    }
    let of_keys = |name: &str| keys.iter().filter_map(|key| key.get(name)?.written()).map(str::to_owned).collect();
    Ok(Metadata {
        sealed_for_age: of_keys("enc"),
        recipients: of_keys("recipient"),
        rule: rule(text)?,
        mac: text("mac").unwrap_or_default().to_owned(),
        modified: text("lastmodified").unwrap_or_default().to_owned(),
        only_sealed: text("mac_only_encrypted").is_some_and(|text| text.eq_ignore_ascii_case("true")),
    })
}

fn rule<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Result<Rule, String> {
    let pattern = |text: &str| {
        let built = RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build();
        built.map_err(|_| format!("its pattern of names is read by SOPS alone: {BY_SOPS}"))
    };
    let (suffix, no_suffix) = (text("encrypted_suffix"), text("unencrypted_suffix"));
    Ok(match (suffix, no_suffix, text("encrypted_regex"), text("unencrypted_regex")) {
        (None, None, None, None) => Rule::NotBelowSuffix(USUAL_SUFFIX.to_owned()),
        (None, Some(suffix), None, None) => Rule::NotBelowSuffix(suffix.to_owned()),
        (Some(suffix), None, None, None) => Rule::BelowSuffix(suffix.to_owned()),
        (None, None, Some(names), None) => Rule::Below(pattern(names)?),
        (None, None, None, Some(names)) => Rule::NotBelow(pattern(names)?),
        _ => return Err("it has several rules for what is encrypted, which SOPS does not take".to_owned()),
    })
}
