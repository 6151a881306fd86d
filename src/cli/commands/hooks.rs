//! Hooks and tokens: who may ask from outside.

use super::Session;
use super::state::tell;
use crate::api::views::{
    DeliveriesView, HookAsk, HookSecretView, HooksView, ProviderWord, RotateAsk, TokenAddedView, TokenAsk, TokensView,
};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Hook, HookAdd, Token};
use crate::cli::{render, values};

/// `hook …`.
pub(super) async fn hook(session: &mut Session, hook: Hook) -> Result<Exit, Failure> {
    match hook {
        Hook::Add(add) => hook_add(session, add).await?,
        Hook::List(json) => {
            let call = Call::get("/api/v1/hooks");
            tell::<HooksView>(session, call, json, render::hooks::hooks).await?;
        }
        Hook::Rotate(rotate) => {
            let name = values::hook(&rotate.hook)?;
            let secret = rotate.secret.secret_file.as_deref().map(values::secret_file).transpose()?;
            let call = Call::post(format!("/api/v1/hooks/{name}/rotate"), &RotateAsk { secret })?;
            let call = call.once(session.key(None));
            let render = |view: &HookSecretView, _: &_| render::hooks::secret(view);
            tell::<HookSecretView>(session, call, rotate.secret.json, render).await?;
        }
        Hook::Remove(named) => {
            let name = values::hook(&named.hook)?;
            let call = Call::delete(format!("/api/v1/hooks/{name}")).once(session.key(None));
            session.client.ask::<()>(call).await?;
            session.output.line(&format!("hook {name} removed"))?;
        }
        Hook::Deliveries(deliveries) => {
            let name = values::hook(&deliveries.hook)?;
            let call = Call::get(format!("/api/v1/hooks/{name}/deliveries?limit={}", deliveries.limit));
            tell::<DeliveriesView>(session, call, deliveries.json, render::hooks::deliveries).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn hook_add(session: &mut Session, add: HookAdd) -> Result<(), Failure> {
    let name = values::plain_name(&add.name)?;
    if add.header.is_some() && add.provider != ProviderWord::Generic {
        return Err(Failure::usage("--header belongs to --provider generic; github always uses x-hub-signature-256"));
    }
    let secret = add.secret.secret_file.as_deref().map(values::secret_file).transpose()?;
    let ask = HookAsk { name, provider: add.provider, header: add.header, secret };
    let call = Call::post("/api/v1/hooks", &ask)?.once(session.key(None));
    let render = |view: &HookSecretView, _: &_| render::hooks::secret(view);
    tell::<HookSecretView>(session, call, add.secret.json, render).await?;
    Ok(())
}

/// `token …`.
pub(super) async fn token(session: &mut Session, token: Token) -> Result<Exit, Failure> {
    match token {
        Token::Add(add) => {
            let name = values::plain_name(&add.name)?;
            let call = Call::post("/api/v1/tokens", &TokenAsk { name })?.once(session.key(None));
            let render = |view: &TokenAddedView, _: &_| {
                format!("{}\ntoken {} ({}): its value is above, and shown once\n", view.token, view.name, view.token_id)
            };
            tell::<TokenAddedView>(session, call, add.json, render).await?;
        }
        Token::List(json) => {
            let call = Call::get("/api/v1/tokens");
            tell::<TokensView>(session, call, json, render::lists::tokens).await?;
        }
        Token::Revoke(revoke) => {
            let call = Call::delete(format!("/api/v1/tokens/{}", revoke.token)).once(session.key(None));
            session.client.ask::<()>(call).await?;
            session.output.line(&format!("token {} revoked", revoke.token))?;
        }
    }
    Ok(Exit::Ok)
}
