//! What a file is, for `Content-Type`.

use http::HeaderValue;

/// For what the table does not know.
const UNKNOWN: &str = "application/octet-stream";

/// Names that say more than their ending: files that others look for by this name and type.
const BY_NAME: &[(&str, &str)] =
    &[("apple-app-site-association", "application/json"), ("assetlinks.json", "application/json")];

/// The type of a file, by its name. `Text::Utf8` adds the charset to texts; where the bytes are something else, the page
/// itself has to say what.
#[must_use]
pub fn of(path: &str, text: Text) -> HeaderValue {
    let essence = essence(path);
    if essence.starts_with("text/") && text == Text::Utf8 {
        return HeaderValue::try_from(format!("{essence}; charset=utf-8")).unwrap_or(HeaderValue::from_static(UNKNOWN));
    }
    HeaderValue::from_static(essence)
}

/// Whether the last name of a path has an ending that belongs to something else than a page: a missing one of these is
/// missing, and no page of a single-page application.
#[must_use]
pub fn is_asset(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.contains('.') && !matches!(essence(name), UNKNOWN | "text/html" | "application/xhtml+xml")
}

fn essence(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    if let Some((_, essence)) = BY_NAME.iter().find(|(known, _)| *known == name) {
        return essence;
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match mime_guess::from_ext(ending).first_raw() {
        // RFC 9239 has made the other one obsolete.
        Some("application/javascript") => "text/javascript",
        known => known.unwrap_or(UNKNOWN),
    }
}

/// Whether the bytes of a file are UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// They are.
    Utf8,
    /// They are not.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_names_and_texts_say_their_charset() {
        let utf8 = |path| of(path, Text::Utf8);
        assert_eq!(utf8("a/index.html"), "text/html; charset=utf-8");
        assert_eq!(of("a/index.html", Text::Other), "text/html");
        assert_eq!(utf8("app.js"), "text/javascript; charset=utf-8");
        assert_eq!(utf8("app.mjs"), "text/javascript; charset=utf-8");
        assert_eq!(utf8("a.css"), "text/css; charset=utf-8");
        assert_eq!(utf8("a.json"), "application/json");
        assert_eq!(utf8("a.svg"), "image/svg+xml");
        assert_eq!(utf8("a.wasm"), "application/wasm");
        assert_eq!(utf8("a.woff2"), "font/woff2");
        assert_eq!(utf8("a.webp"), "image/webp");
        assert_eq!(utf8("site.webmanifest"), "application/manifest+json");
        assert_eq!(utf8("LICENSE"), UNKNOWN);
        assert_eq!(utf8("a.b/c"), UNKNOWN);
        assert_eq!(utf8(".well-known/apple-app-site-association"), "application/json");
    }

    #[test]
    fn a_missing_asset_is_no_page() {
        assert!(is_asset("/assets/app-1a2b.js") && is_asset("/a.png"));
        assert!(!is_asset("/users/john.doe") && !is_asset("/about") && !is_asset("/about.html") && !is_asset("/"));
    }
}
