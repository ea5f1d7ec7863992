//! guests/parser, guests/collector and guests/logs.

use canon_async_wasmi::Val;

use crate::ways::{Program, string, strings};

const DISK: &str = "12 error urgent,audit text the disk is full
- info - numbers 1 2 -30
10 info retried
99 debug - span boot 17.5";
const BAD: &str = "1 info -\nnonsense\n1 info -\n";

fn some(val: Val) -> Val {
    Val::Option(Some(Box::new(val)))
}

#[test]
fn logs_are_parsed_and_collected_one_after_another() {
    Program::new(&["parser", "collector", "logs"]).in_every_way(|running| {
        let logs = [DISK, BAD, ""];
        let lines = [
            "4 lines; 4 entries (Level::Debug 1, Level::Info 2, Level::Error 1), times Some((10, 99)), \
             Marks(URGENT | AUDIT | RETRIED), \"the disk is full\", sum -10",
            "no time in \"nonsense\"; 1 entries (Level::Info 1), times Some((1, 1)), Marks(0x0), \"\", sum 0",
            "0 lines; 0 entries (), times None, Marks(0x0), \"\", sum 0",
        ];
        // The collector lets a call in when the one before has ended.
        let turns = [0, 1, 2].map(Val::U32);
        let result = running.call("run", &[strings(&logs)]);
        assert_eq!(result, Val::Tuple(vec![strings(&lines), Val::List(turns.into())]));
    });
}

#[test]
fn a_long_log_and_a_broken_one_are_read_to_their_ends() {
    let levels = ["debug", "info", "warning", "error"];
    let line = |n: usize| format!("{n} {} - numbers {n} -1", levels[n % 4]);
    let long: Vec<String> = (0..200).map(line).collect();
    let long = long.join("\n");
    let broken = format!("{BAD}{long}");
    Program::new(&["parser", "collector", "logs"]).in_some_ways(|running| {
        let lines = [
            "200 lines; 200 entries (Level::Debug 50, Level::Info 50, Level::Warning 50, Level::Error 50), \
             times Some((0, 199)), Marks(0x0), \"\", sum 19700",
            "the parser gave up; no time in \"nonsense\"; 1 entries (Level::Info 1), times Some((1, 1)), \
             Marks(0x0), \"\", sum 0",
        ];
        let result = running.call("run", &[strings(&[&long, &broken])]);
        assert_eq!(result, Val::Tuple(vec![strings(&lines), Val::List(vec![Val::U32(0), Val::U32(1)])]));
    });
}

#[test]
fn records_variants_flags_and_options_reach_the_host() {
    Program::new(&["parser"]).in_every_way(|running| {
        let mut parse = |line| running.call("example:parser/parser#parse-line", &[string(line)]);
        let entry = |at, level: &str, marks: &[&str], body: &str, value: Option<Val>| {
            let marks = marks.iter().map(|&mark| mark.into()).collect();
            let fields = [
                ("at", at),
                ("level", Val::Enum(level.into())),
                ("marks", Val::Flags(marks)),
                ("body", Val::Variant(body.into(), value.map(Box::new))),
            ];
            let fields = fields.map(|(name, val)| (name.into(), val));
            Val::Result(Ok(Some(Box::new(Val::Record(fields.into())))))
        };
        let none = || Val::Option(None);
        let text = entry(some(Val::U64(12)), "error", &["urgent", "audit"], "text", Some(string("ü, full")));
        assert_eq!(parse("12 error urgent,audit text ü, full"), text);
        let numbers = Val::List(vec![Val::S32(1), Val::S32(-2147483648)]);
        assert_eq!(
            parse("- info - numbers 1 -2147483648"),
            entry(none(), "info", &[], "numbers", Some(numbers))
        );
        let span = Val::Tuple(vec![string("boot"), Val::F64(17.5)]);
        assert_eq!(
            parse("0 debug retried span boot 17.5"),
            entry(some(Val::U64(0)), "debug", &["retried"], "span", Some(span))
        );
        assert_eq!(parse("- warning -"), entry(none(), "warning", &[], "empty", None));
        let error = Val::Result(Err(Some(Box::new(string("no level in \"1 loud\"")))));
        assert_eq!(parse("1 loud"), error);
    });
}
