//! SQL destinations, each check on SQLite and on PostgreSQL. `tests/with-postgres COMMAND` starts a server and sets
//! `HIGHWATER_TEST_POSTGRES`; without it the checks on PostgreSQL are skipped, and say so.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "this is all test code")]

mod again;
mod child;
mod conformance;
mod model;
mod modes;
mod names;
mod order;
mod pipelines;
mod positions;
mod postgres_tls;
mod refusals;
mod subject;
mod types;
mod world;

use subject::{InPostgres, InSqlite};

macro_rules! checks {
    ($($module:ident::$check:ident),* $(,)?) => {
        mod sqlite {
            use super::*;
            $(#[test] fn $check() { $module::$check(&InSqlite::new()); })*
        }
        mod postgres {
            use super::*;
            $(#[test] fn $check() {
                if let Some(subject) = InPostgres::new(stringify!($check)) { $module::$check(&subject); }
            })*
        }
    };
}

checks!(
    again::a_refused_record_is_taken_later_and_once,
    again::what_is_newer_is_not_undone,
    conformance::the_suite_passes,
    modes::append_holds_what_the_log_holds,
    modes::upsert_holds_what_the_source_holds,
    modes::history_holds_every_version,
    modes::a_generation_is_shown_when_it_is_complete,
    modes::a_refresh_sweeps_what_it_did_not_bring,
    names::names_are_long_reserved_or_alike,
    order::parents_come_before_their_children,
    pipelines::two_pipelines_do_not_meet,
    pipelines::a_table_keeps_its_mode_and_its_key,
    pipelines::a_table_that_was_renamed_by_hand_is_made_anew,
    pipelines::a_table_that_was_dropped_by_hand_is_told_with_the_way_out,
    positions::a_redelivery_from_anywhere_changes_nothing,
    positions::a_crash_between_applying_and_acknowledging,
    positions::killed_at_any_moment,
    positions::another_history_has_diverged,
    positions::a_lost_connection_is_no_loss,
    positions::a_refused_commit_leaves_nothing,
    positions::a_failed_batch_leaves_nothing,
    refusals::one_refused_record_does_not_fail_the_others,
    refusals::what_a_constraint_refuses_is_found_among_many,
    refusals::refusals_survive_a_crash,
    types::values_come_back_exactly,
    types::columns_are_added_and_widened,
    types::a_change_that_would_lose_values_is_refused_by_name,
    types::a_column_that_was_renamed_by_hand_is_made_anew,
    types::row_identity_survives_added_columns,
);
