//! Who asks: a user of this machine through the local socket, or the holder of a token over TCP.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cutover_events::{Actor, Digest, TokenId};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::problem::{Code, Problem};
use super::state::ApiState;

/// What every token begins with, so that scanners for leaked secrets find it.
pub const TOKEN_PREFIX: &str = "cut_";

/// Who asks; put into every request that is let through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller(pub Actor);

/// Where a request came from; put into every request by the listener that took it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The local socket; the peer's user, from the kernel.
    Local {
        /// User id.
        uid: u32,
        /// Login name, empty when unknown.
        user: String,
    },
    /// TCP: nothing is known, a token is needed.
    Network,
}

/// Lets a request through with its caller, or refuses it.
pub(super) async fn authenticate(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let caller = match request.extensions().get::<Origin>() {
        Some(Origin::Local { uid, user }) => Ok(Caller(Actor::Local { uid: *uid, user: user.clone() })),
        Some(Origin::Network) | None => bearer(&state, request.headers()).map(|token| Caller(Actor::Token(token))),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn bearer(state: &ApiState, headers: &HeaderMap) -> Result<TokenId, Problem> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = sent.and_then(|sent| sent.strip_prefix("Bearer ")) else {
        let text = "a token is needed here: send \"Authorization: Bearer cut_…\" (made by `cutover token add NAME`)";
        return Err(Problem::new(Code::Unauthenticated, text));
    };
    let known = state.backend()?.token_hashes();
    accepted(&known, token).ok_or_else(|| Problem::new(Code::Unauthenticated, "this token is not accepted"))
}

/// The token that this value belongs to. Every hash is looked at, and none earlier than another.
#[must_use]
pub fn accepted(known: &[(TokenId, Digest)], value: &str) -> Option<TokenId> {
    let hash = Digest::of(value.as_bytes());
    let mut found = Choice::from(0);
    let mut index = 0_u64;
    for (at, (_, candidate)) in (0_u64..).zip(known) {
        let same = hash.0.ct_eq(&candidate.0);
        index.conditional_assign(&at, same);
        found |= same;
    }
    let index = usize::try_from(index).ok()?;
    if bool::from(found) { known.get(index).map(|(id, _)| *id) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_itself_is_accepted() {
        let known = [(TokenId([1; 16]), Digest::of(b"cut_a")), (TokenId([2; 16]), Digest::of(b"cut_b"))];
        assert_eq!(accepted(&known, "cut_b"), Some(TokenId([2; 16])));
        assert_eq!(accepted(&known, "cut_a"), Some(TokenId([1; 16])));
        assert_eq!(accepted(&known, "cut_c"), None);
        assert_eq!(accepted(&[], "cut_a"), None);
    }
}
