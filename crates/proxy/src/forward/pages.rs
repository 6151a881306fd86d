//! The proxy's own answers: a small page for people, problem+json for programs.

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::config;

/// What the proxy says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The `Host` fields make no sense.
    BadHost,
    /// No workload has this host and path.
    NoRoute,
    /// A site has no file of this name, and no page for that.
    NoFile,
    /// A file of a site cannot be read.
    Unreadable,
    /// CONNECT.
    NotAllowed,
    /// The body is over the limit.
    TooLarge,
    /// The target does not answer, or broke off before its head.
    BadGateway,
    /// Nothing serves at the moment.
    Unavailable,
    /// The target took too long.
    Timeout,
    /// The client broke off its body.
    BadBody,
}

impl Page {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadHost | Self::BadBody => StatusCode::BAD_REQUEST,
            Self::NoRoute | Self::NoFile => StatusCode::NOT_FOUND,
            Self::Unreadable => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn says(self) -> (&'static str, &'static str) {
        match self {
            Self::BadHost => ("Bad request", "A request needs exactly one valid Host."),
            Self::BadBody => ("Bad request", "The body of the request ended early."),
            Self::NoRoute => ("Nothing here", "No site is served at this address."),
            Self::NoFile => ("Not found", "There is no page at this address."),
            Self::Unreadable => {
                ("Cannot be read", "This page is there and cannot be read. Its owner has to publish it again.")
            }
            Self::NotAllowed => ("Not allowed", "This method is not served."),
            Self::TooLarge => ("Too large", "The body of the request is larger than this server takes."),
            Self::BadGateway => ("No answer", "The application did not answer. Please try again in a moment."),
            Self::Unavailable => ("Just a moment", "The application is starting. Please try again in a few seconds."),
            Self::Timeout => ("Too slow", "The application took too long to answer."),
        }
    }

    /// The answer, in the form that the request's `Accept` prefers.
    pub(super) fn render(self, form: Form, request_id: &HeaderValue) -> Response<Bytes> {
        let (title, text) = self.says();
        let status = self.status();
        let id = request_id.to_str().unwrap_or_default();
        let (kind, body) = if form == Form::Json {
            let json = serde_json::json!({
                "type": "about:blank", "title": title, "status": status.as_u16(), "detail": text, "request_id": id,
            });
            ("application/problem+json", json.to_string())
        } else {
            ("text/html; charset=utf-8", html(status, (title, text), id))
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Self::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from(config::RETRY_AFTER));
        }
        if self == Self::NotAllowed {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        response
    }
}

/// For whom a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A person.
    Html,
    /// A program.
    Json,
}

impl Form {
    /// What a request prefers: JSON when its `Accept` names that and not HTML.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.contains("json") && !accept.contains("text/html") { Self::Json } else { Self::Html }
    }
}

fn html(status: StatusCode, (title, text): (&str, &str), id: &str) -> String {
    let number = status.as_u16();
    let id: String = id.chars().filter(|c| !"<>&\"'".contains(*c)).collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>\
         :root{{color-scheme:light dark}}\
         body{{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.6 system-ui,sans-serif;\
         background:light-dark(#f7f7f5,#16181c);color:light-dark(#22252a,#e6e6e3)}}\
         main{{max-width:30rem;padding:2rem}}b{{font-size:.9rem;letter-spacing:.15em;opacity:.55}}\
         h1{{margin:.2em 0;font-size:2rem;font-weight:600}}p{{margin:0}}\
         small{{display:block;margin-top:2rem;opacity:.5;font-family:ui-monospace,monospace}}</style></head>\
         <body><main><b>{number}</b><h1>{title}</h1><p>{text}</p><small>{id}</small></main></body></html>\n"
    )
}
