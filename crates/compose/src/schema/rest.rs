//! The keys of a file, and of networks, volumes, secrets and configs.

use super::service::SERVICE;
use super::{Any, EXTERNAL, Either, Keys, List, Names, Null, OPTIONS, PAIRS, Shape, TEXT_OR_LIST, Text, Truth};

const IPAM: &Shape = &Keys(&[
    ("driver", &Text),
    (
        "config",
        &List(&Keys(&[("subnet", &Text), ("ip_range", &Text), ("gateway", &Text), ("aux_addresses", &Names(&Text))])),
    ),
    ("options", &Names(&Text)),
]);

const NETWORK: &Shape = &Either(&[
    &Null,
    &Keys(&[
        ("name", &Text),
        ("driver", &Text),
        ("driver_opts", OPTIONS),
        ("ipam", IPAM),
        ("external", EXTERNAL),
        ("internal", &Truth),
        ("enable_ipv4", &Truth),
        ("enable_ipv6", &Truth),
        ("attachable", &Truth),
        ("labels", PAIRS),
    ]),
]);

const VOLUME: &Shape = &Either(&[
    &Null,
    &Keys(&[("name", &Text), ("driver", &Text), ("driver_opts", OPTIONS), ("external", EXTERNAL), ("labels", PAIRS)]),
]);

/// A secret or a config.
const GIVEN: &Shape = &Keys(&[
    ("name", &Text),
    ("content", &Text),
    ("environment", &Text),
    ("file", &Text),
    ("external", EXTERNAL),
    ("labels", PAIRS),
    ("driver", &Text),
    ("driver_opts", OPTIONS),
    ("template_driver", &Text),
]);

const INCLUDE: &Shape = &List(&Either(&[
    &Text,
    &Keys(&[("path", TEXT_OR_LIST), ("env_file", TEXT_OR_LIST), ("project_directory", &Text)]),
]));

/// A whole file.
pub(crate) const TOP: &Shape = &Keys(&[
    ("version", &Text),
    ("name", &Text),
    ("include", INCLUDE),
    ("services", &Names(SERVICE)),
    ("models", &Any),
    ("networks", &Names(NETWORK)),
    ("volumes", &Names(VOLUME)),
    ("secrets", &Names(GIVEN)),
    ("configs", &Names(GIVEN)),
]);
