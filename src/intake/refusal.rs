//! Why a call of a hook makes no event, with the status that its sender sees.

use http::StatusCode;

/// Longest text of a refusal, characters: senders show the first lines of an answer.
const MAX_TEXT_CHARS: usize = 300;

/// Why a call was not taken. No text holds a secret, a signature or a part of a header.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// No such hook; an id that is none looks the same.
    #[error("no hook has this address; \"cutover hook list\" prints the addresses of all hooks")]
    UnknownHook,
    /// The signature is missing, malformed or made with another secret.
    #[error("{0}")]
    Unsigned(&'static str),
    /// What it says cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A content type or encoding that this provider does not send.
    #[error("{0}")]
    UnsupportedType(&'static str),
    /// The body is longer than this provider's limit.
    #[error("the body is longer than the {limit} bytes that this hook takes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The body did not come in time.
    #[error("the body did not arrive within {seconds} seconds")]
    TooSlow {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The intake has no room; the sender may try again.
    #[error("{0}; send it again")]
    Busy(String),
}

impl Refusal {
    /// A body or header that cannot be read, with control characters and everything past 300 characters cut.
    #[must_use]
    pub fn unreadable(text: impl Into<String>) -> Self {
        let text: String = text.into();
        Self::Unreadable(text.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS).collect())
    }

    /// What the sender sees. Nothing here makes a sender disable a hook that is merely not configured for an event.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownHook => StatusCode::NOT_FOUND,
            Self::Unsigned(_) => StatusCode::UNAUTHORIZED,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::UnsupportedType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
