//! One writer of several streams, with stream and global checkpoints mixed.

use std::collections::BTreeMap;

use highwater::{Commit, Limit, Log, LogReader, Op, Sequence, Start, Stream, StreamSpec};

use crate::content::Content;
use crate::plan::{Plan, STREAMS, name};
use crate::{Arguments, KEPT, RETENTION, say, text};

pub(crate) fn write(arguments: &Arguments, log: &Log) -> Result<(), String> {
    let mut content = Content::default();
    let done = log.end().map_or(0, |end| end.sequence.get());
    for sequence in 1..=done {
        content.add_planned(&Plan::new(arguments.seed, sequence));
    }
    say(&format!("resume {done} {:016x}", content.hash(arguments.consumer)));
    let streams: Vec<Stream> =
        (0..STREAMS).map(|s| log.stream(StreamSpec::new(name(s)))).collect::<Result<_, _>>().map_err(text)?;
    let mut writer = log.writer(&streams.iter().collect::<Vec<_>>()).map_err(text)?;
    let mut consumer =
        if arguments.consumer { Some(log.consumer("rig", Start::Oldest).map_err(text)?) } else { None };
    for sequence in done + 1..=done.saturating_add(arguments.count) {
        let plan = Plan::new(arguments.seed, sequence);
        for (stream, payload) in &plan.records {
            writer.append(&streams[*stream as usize], Op::Insert { key: b"", row: payload }).map_err(text)?;
        }
        content.add_planned(&plan);
        let hash = content.hash(arguments.consumer);
        let commit = match plan.covers {
            None => Commit::new().global_text(plan.state),
            Some(stream) => Commit::new().stream_text(&streams[stream as usize], plan.state),
        };
        let (durability, word) = arguments.durability(sequence);
        say(&format!("try {sequence} {hash:016x}"));
        let committed = writer.commit(commit.durability(durability)).map_err(text)?;
        say(&format!("{word} {} {hash:016x}", committed.sequence()));
        for stream in &streams {
            writer.discard(stream).map_err(text)?;
        }
        if let Some(consumer) = &mut consumer
            && let Some(batch) = consumer.next_batch(&Limit::default()).map_err(text)?
        {
            consumer.acknowledge(batch.end()).map_err(text)?;
            if sequence % 8 == 0 {
                log.prune(&RETENTION).map_err(text)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn verify(arguments: &Arguments, log: Option<&LogReader>) -> Result<(), String> {
    let mut content = Content::default();
    let mut sequence = 0;
    if let Some((log, end)) = log.and_then(|log| Some((log, log.end()?))) {
        sequence = end.sequence.get();
        read_back(arguments, log, sequence, &mut content)?;
    }
    say(&format!("recovered {sequence} {:016x}", content.hash(arguments.consumer)));
    Ok(())
}

fn read_back(
    arguments: &Arguments,
    log: &LogReader,
    sequence: u64,
    content: &mut Content,
) -> Result<(), String> {
    let from = if arguments.consumer { sequence.saturating_sub(KEPT - 1).max(1) } else { 1 };
    let mut reader = log.reader(Sequence::new(from)).map_err(text)?;
    while let Some(checkpoint) = reader.next().map_err(text)? {
        content.add_read(&checkpoint)?;
    }
    let states = log.state().map_err(text)?;
    let of_streams = states.all().map_err(text)?.into_iter().map(|(stream, state)| (stream.name, state.text));
    let global = states.global().map_err(text)?.map(|global| (String::new(), global.text));
    content.set_states(of_streams.chain(global).collect::<BTreeMap<_, _>>());
    Ok(())
}
