//! The contract of `Runtime`, held by Docker and by its twin.

mod attach;
mod create;
mod docker_only;
mod folders;
mod harness;
mod registry;
mod steps;
mod surroundings;
mod volumes;

pub(crate) use harness::{Behaviour, Harness};

use cutover::adapters::runtime::Container;

/// Makes a test of each sentence, for Docker and for the twin.
macro_rules! contract {
    ($($module:ident :: $sentence:ident),* $(,)?) => {
        mod docker {
            $(contract!(@one $module::$sentence, begin_docker);)*
        }
        mod memory {
            $(contract!(@one $module::$sentence, begin_memory);)*
        }
    };
    (@one $module:ident :: $sentence:ident, $begin:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sentence() {
            let name = concat!(stringify!($module), "::", stringify!($sentence));
            let harness = super::harness::$begin(name).await;
            super::harness::run(harness, |harness| Box::pin(super::$module::$sentence(harness))).await;
        }
    };
}

contract! {
    attach::a_program_prints_apart_and_its_code_is_seen,
    attach::a_program_reads_until_its_input_ends,
    attach::a_program_that_nobody_is_at_ends_when_it_is_told_to,
    attach::a_program_has_a_terminal_of_the_size_that_was_said,
    attach::a_program_needs_a_container_that_runs,
    attach::a_container_of_its_own_is_in_no_listing_of_units,
    attach::a_container_of_its_own_may_be_made_like_another,
    attach::what_a_container_has_printed_is_read_line_by_line,
    create::a_container_carries_what_it_was_created_with,
    create::the_same_create_again_finds_the_first,
    create::many_creates_at_once_make_one_container,
    create::a_create_whose_answer_was_lost_is_repeated,
    create::a_name_of_somebody_else_is_not_adopted,
    create::an_image_that_is_gone_is_named,
    create::foreign_containers_are_never_listed,
    create::a_list_is_complete,
    steps::a_start_may_be_repeated,
    steps::a_start_whose_answer_was_lost_is_repeated,
    steps::stop_and_remove_may_be_repeated,
    steps::a_late_request_misses_the_successor,
    steps::the_restart_policy_is_seen,
    steps::what_a_person_has_changed_is_seen_and_put_right,
    steps::a_death_is_seen_with_code_and_last_words,
    steps::an_address_belongs_to_one_started_container,
    steps::a_running_container_answers_at_its_address,
    surroundings::a_project_has_one_network,
    surroundings::networks_have_addresses_of_their_own,
    surroundings::an_image_made_here_is_used_without_asking,
    surroundings::an_unknown_image_is_missing,
    surroundings::a_tag_keeps_an_image,
    surroundings::hints_tell_where_to_look,
    surroundings::the_daemon_has_an_identity,
    volumes::mounts_and_ports_are_seen,
    volumes::a_volume_is_made_once_and_outlives_its_containers,
    volumes::a_volume_of_somebody_else_is_used_and_kept,
}

/// What release folders have in common with containers.
mod release_folders {
    contract!(@one create::the_same_create_again_finds_the_first, begin_folders);
    contract!(@one create::many_creates_at_once_make_one_container, begin_folders);
    contract!(@one create::foreign_containers_are_never_listed, begin_folders);
    contract!(@one create::a_list_is_complete, begin_folders);
    contract!(@one steps::a_start_may_be_repeated, begin_folders);
    contract!(@one steps::stop_and_remove_may_be_repeated, begin_folders);
    contract!(@one steps::a_late_request_misses_the_successor, begin_folders);
    contract!(@one steps::the_restart_policy_is_seen, begin_folders);
    contract!(@one folders::a_unit_is_where_its_release_lies_while_it_runs, begin_folders);
    contract!(@one folders::what_is_known_of_a_unit_outlives_the_engine, begin_folders);
    contract!(@one folders::a_unit_without_its_release_has_ended, begin_folders);
}

/// The one container of a unit in a complete listing.
async fn only(harness: &Harness) -> Container {
    let mut all = harness.runtime.list(harness.log, None).await.expect("a listing");
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}
