//! What this engine can carry out. An adapter that is wired in adds its line here, and nowhere else.

use cutover_domain::ability::Ability;

/// What workloads may ask for; everything else is refused when it is applied or planned.
pub const ABILITIES: &[Ability] = &[
    Ability::Image,
    Ability::Credentials,
    Ability::Dockerfile,
    Ability::BuildSecrets,
    Ability::StaticFiles,
    Ability::StaticBuild,
    Ability::StaticDeno,
    Ability::Compose,
];
