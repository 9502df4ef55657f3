// SPDX-License-Identifier: Apache-2.0
import { messages } from '../i18n/messages.svelte';

export const t = messages(
  {
    protected: 'Protected',
    hydrating: 'Hydrating {percent} %',
    paused: 'Hydration paused at {percent} %',
    fenced: 'Fenced',
    unavailable: 'Unavailable',
    gap: 'Gap since {since}',
    refusing: 'Rolled back, writers refused',
    rolledBack: 'Rolled back {since}',
    lagging: 'Not meeting RPO',
    removed: 'Removed',
  },
  {
    protected: '已保护',
    hydrating: '回填中 {percent} %',
    paused: '回填在 {percent} % 处暂停',
    fenced: '已隔离',
    unavailable: '不可用',
    gap: '自 {since} 起存在缺口',
    refusing: '已回滚，拒绝写入者',
    rolledBack: '已于 {since} 回滚',
    lagging: '未达到 RPO',
    removed: '已移除',
  },
);
