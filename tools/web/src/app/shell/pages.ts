// SPDX-License-Identifier: Apache-2.0
//
// Which component shows a route. Each is a file of its own that is loaded when it is first gone to.
import type { Component } from 'svelte';
import type { Route } from '../router.svelte';

export type PageProps = { name: string; query: URLSearchParams };
export type Page = Component<PageProps>;
type Loader = () => Promise<{ default: unknown }>;

const kLoaders: Record<Exclude<Route['page'], 'missing'>, Loader> = {
  overview: () => import('../../overview/OverviewPage.svelte'),
  volume: () => import('../../volume/VolumePage.svelte'),
  recover: () => import('../../wizard/RecoverPage.svelte'),
  attach: () => import('../../attach/AttachPage.svelte'),
  report: () => import('../../report/ReportPage.svelte'),
  copies: () => import('../../copies/CopiesPage.svelte'),
  jobs: () => import('../../jobs/JobsPage.svelte'),
  alerts: () => import('../../alerts/AlertsPage.svelte'),
  audit: () => import('../../audit/AuditPage.svelte'),
  users: () => import('../../users/UsersPage.svelte'),
  vault: () => import('../../vault/VaultPage.svelte'),
};

// An outage of the daemon, which serves these files, is not to keep one from the page that is wanted in it.
export async function fetchAll(): Promise<void> {
  for (const loader of Object.values(kLoaders)) await loader().catch(() => undefined);
}

export async function load(page: Exclude<Route['page'], 'missing'>): Promise<Page> {
  return (await kLoaders[page]()).default as Page;
}
