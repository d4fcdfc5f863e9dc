//! Many short connections leave nothing behind. The load test has the long form.

use std::collections::BTreeMap;
use std::fs;

use super::kit::{Client, Scripts, until, until_alone};
use crate::face::binary::Running;

/// Descriptors of each thread of the server: workers have tables of their own.
fn descriptors(server: &Running) -> BTreeMap<String, usize> {
    let threads = fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap().flatten();
    let name = |path: &std::path::Path| fs::read_to_string(path.join("comm")).unwrap_or_default();
    let count = |path: &std::path::Path| fs::read_dir(path.join("fd")).map_or(0, Iterator::count);
    threads.map(|thread| (name(&thread.path()), count(&thread.path()))).collect()
}

#[test]
fn two_hundred_short_connections_leave_no_process_and_no_descriptor() {
    let scripts = Scripts::new(&[("hi.sh", "#!/bin/sh\necho hi\n")]);
    let server = scripts.serve(&["--workers", "2"]);
    let once = || {
        let (lines, end) = Client::connect(&server, "/bin/hi.sh").all();
        assert_eq!((lines, end.0), (vec!["hi".to_owned()], 1000));
    };
    // Each worker has its link to the guard by then.
    (0..16).for_each(|_| once());
    until_alone(&server);
    let mut before = BTreeMap::new();
    until("connections are gone", || {
        let now = descriptors(&server);
        let is_quiet = std::mem::replace(&mut before, now) == before;
        is_quiet && server.get("/metrics").body.contains("rollcall_connections 1\n")
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| once()));
        }
    });
    until_alone(&server);
    until("no descriptor is left", || descriptors(&server) == before);
    assert!(server.get("/metrics").body.contains("rollcall_exec_processes 0\n"));
}
