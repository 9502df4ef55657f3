// SPDX-License-Identifier: Apache-2.0
//
// Everything that a report of an incident says, asked for at once.
import { api, ask, type Schemas } from '../api/client';
import { concerns, detailOf, type AuditEntry } from '../audit/entry';

export type Report = {
  volume: Schemas['Volume'];
  // Nothing where the volume was made after the span.
  timeline: Schemas['Timeline'] | undefined;
  // Nothing where the one who asks may not see them.
  acts: AuditEntry[] | undefined;
  actsAreCut: boolean;
  jobs: Schemas['Job'][];
  until: number;
};

export const kAuditPage = 1000;
const kAuditPagesMax = 10;
export const kAuditMost = kAuditPage * kAuditPagesMax;
const kStepsMax = 240;
const kJobs = 500;

export type Step = { begin: number; written: number; destroyed: number };

// Each step of the span, those too in which nothing happened.
export function stepsOf(timeline: Pick<Schemas['Timeline'], 'since' | 'until' | 'step_seconds' | 'steps'>): Step[] {
  const length = timeline.step_seconds;
  const at = (time: string) => Math.floor(Date.parse(time) / 1000 / length);
  const known = new Map(timeline.steps.map((step) => [at(step.begin), step]));
  const steps: Step[] = [];
  for (let index = at(timeline.since); index <= at(timeline.until); index += 1) {
    const step = known.get(index);
    steps.push({
      begin: index * length * 1000,
      written: step === undefined ? 0 : step.written_bytes,
      destroyed: step === undefined ? 0 : step.zeroed_bytes + step.trimmed_bytes,
    });
  }
  return steps;
}

async function auditOf(volume: Schemas['Volume'], since: number, until: number): Promise<Pick<Report, 'acts' | 'actsAreCut'>> {
  const acts: AuditEntry[] = [];
  let before: number | undefined;
  for (let page = 0; page < kAuditPagesMax; page += 1) {
    const found = await ask(api.GET('/api/audit', { params: { query: { limit: kAuditPage, before } } }));
    for (const entry of found.audit) {
      const at = Date.parse(entry.time_utc);
      if (at >= since && at <= until && concerns(detailOf(entry), volume)) acts.push(entry);
    }
    const oldest = found.audit.at(-1);
    if (found.before === undefined || oldest === undefined || Date.parse(oldest.time_utc) < since) {
      return { acts: acts.reverse(), actsAreCut: false };
    }
    before = found.before;
  }
  return { acts: acts.reverse(), actsAreCut: true };
}

export async function gather(name: string, since: number, until: number, seesAudit: boolean): Promise<Report> {
  const volume = await ask(api.GET('/api/volumes/{volume}', { params: { path: { volume: name } } }));
  const begin = Math.max(since, Date.parse(volume.created.time_utc));
  const step = Math.max(1, Math.ceil((until - begin) / 1000 / kStepsMax));
  const query = { since: new Date(begin).toISOString(), until: until >= Date.now() - 1000 ? 'now' : new Date(until).toISOString(), step };
  const [timeline, audit, listed] = await Promise.all([
    until <= begin
      ? undefined
      : ask(api.GET('/api/volumes/{volume}/timeline', { params: { path: { volume: `id:${volume.id}` }, query } })),
    seesAudit ? auditOf(volume, since, until) : { acts: undefined, actsAreCut: false },
    ask(api.GET('/api/jobs', { params: { query: { limit: kJobs } } })),
  ]);
  const jobs = listed.jobs
    .filter((job) => job.volume_id === volume.id && Date.parse(job.began) <= until)
    .filter((job) => job.ended === undefined || Date.parse(job.ended) >= since)
    .reverse();
  return { volume, timeline, ...audit, jobs, until };
}
