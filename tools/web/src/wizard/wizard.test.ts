// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  attachCommand,
  bestUri,
  checkCommand,
  detachCommand,
  hostOf,
  imageCommands,
  mountCommand,
  newIdentityCommand,
  undoCommand,
  viewUri,
} from './commands';
import { answersOf, firstWay, freeName, kRights, nameProblem } from './plan';

describe('the name of what is made', () => {
  it('says what it is, and is free', () => {
    expect(freeName('shop', 'recover', new Set())).toBe('shop-recovered');
    expect(freeName('shop', 'clone', new Set(['shop-clone', 'shop-clone-2']))).toBe('shop-clone-3');
  });
  it('is no longer than names may be', () => {
    const long = 'x'.repeat(64);
    const name = freeName(long, 'recover', new Set());
    expect(name).toHaveLength(64);
    expect(nameProblem(name, new Set([long]), [name])).toBeUndefined();
  });
  it('is refused as the appliance would', () => {
    const taken = new Set(['shop']);
    const problems = ['', '-x', 'a b', 'x'.repeat(65), 'shop', 'ok.1_-', 'é'].map((name) =>
      nameProblem(name, taken, [name]),
    );
    expect(problems).toEqual(['empty', 'wrong', 'wrong', 'wrong', 'taken', undefined, 'wrong']);
    expect(nameProblem('a', taken, ['a', 'b', 'a'])).toBe('twice');
  });
});

describe('the first way that is offered', () => {
  it('is a new volume, or what one has a right to', () => {
    expect(firstWay(() => true)).toBe('recover');
    expect(firstWay((right) => right === 'restore')).toBe('rollback');
    expect(firstWay((right) => right === 'operate' || right === 'seeData')).toBe('view');
    expect(firstWay(() => false)).toBe('recover');
    expect(kRights.recover).toEqual(['operate', 'restore']);
  });
});

describe('the address', () => {
  const point = { volume: 'shop', lastingText: undefined as string | undefined };
  it('has what was answered', () => {
    expect(answersOf({ point, way: 'recover', volumes: ['shop'] }, null)).toEqual({ how: 'recover' });
    expect(answersOf({ point, way: 'view', volumes: ['shop'] }, 'mark:a')).toEqual({ at: 'mark:a', how: 'view' });
    const chosen = { ...point, lastingText: 'lsn:7' };
    expect(answersOf({ point: chosen, way: 'rollback', volumes: ['shop', 'log', 'mail'] }, 'mark:a')).toEqual({
      at: 'lsn:7',
      how: 'rollback',
      with: 'log,mail',
    });
  });
});

describe('what is typed on a host', () => {
  const local = "nbd+unix:///shop@lsn:7?socket=/srv/it's/nbd.sock";
  const remote = 'nbds://vault.example:10809/shop';
  it('uses the address that can be reached from it', () => {
    expect(bestUri([local, remote])).toBe(remote);
    expect(bestUri([local])).toBe(local);
    expect(bestUri([])).toBeUndefined();
    expect([hostOf(remote), hostOf(local)]).toEqual(['vault.example:10809', undefined]);
  });
  it('attaches the device, with a certificate where it is encrypted', () => {
    const command = attachCommand({ uri: remote, name: 'shop@lsn:7', isReadOnly: true });
    expect(command).toContain(
      `ln -sfn /etc/hindsight-tls /etc/pki/libnbd\nsudo nbdfuse -r /run/hindsight-shop-lsn-7/disk '${remote}' &`,
    );
    expect(command).toContain('--read-only');
    expect(attachCommand({ uri: local, name: 'shop', isReadOnly: false })).not.toContain('hindsight-tls');
  });
  it('is what a shell takes, whatever is in a name', () => {
    for (const uri of [local, remote, 'nbd://x/$(reboot)`id`'])
      execFileSync('bash', ['-n'], { input: attachCommand({ uri, name: "a'$(b)", isReadOnly: false }) });
    const said = execFileSync('bash', [], { input: `sudo() { :; }; printf %s ${"'nbd://x/$(echo no)'"}` }).toString();
    expect(said).toBe('nbd://x/$(echo no)');
  });
  it('mounts what was not unmounted: without its journal where nothing may be written', () => {
    const view = { isReadOnly: true, isCopy: true };
    const copy = { isReadOnly: false, isCopy: true };
    const itself = { isReadOnly: false, isCopy: false };
    expect(mountCommand('ext4', view)).toBe('sudo mount -o ro,noload "$device" /mnt');
    expect(mountCommand('ext4', copy)).toBe('sudo mount "$device" /mnt');
    expect(mountCommand('xfs', view)).toBe('sudo mount -o ro,norecovery,nouuid "$device" /mnt');
    expect(mountCommand('xfs', copy)).toBe('sudo mount -o nouuid "$device" /mnt');
    expect(mountCommand('xfs', itself)).toBe('sudo mount "$device" /mnt');
  });
  it('gives a copy an identity of its own', () => {
    expect(newIdentityCommand('xfs')).toContain('xfs_admin -U generate');
    expect(newIdentityCommand('ext4')).toContain('tune2fs -U random');
  });
  it('checks a point through its view', () => {
    expect(viewUri('nbds://vault.example:10809/shop', 'shop', 'lsn:7')).toBe('nbds://vault.example:10809/shop@lsn:7');
    expect(viewUri('nbd+unix:///shop?socket=/srv/nbd.sock', 'shop', 'lsn:7')).toBe(
      'nbd+unix:///shop@lsn:7?socket=/srv/nbd.sock',
    );
    expect(checkCommand('ext4')).toContain('e2fsck -fn');
    const attached = attachCommand({ uri: remote, name: 'shop@lsn:7', isReadOnly: true });
    expect(attached).toContain(detachCommand('shop@lsn:7').split('umount ')[1] ?? 'no directory');
  });
  it('brings an image, or undoes', () => {
    const at = { server: 'https://vault.example:8443', volume: 'shop', lsn: 42 };
    expect(imageCommands(at).file).toBe(
      'hindsight --server https://vault.example:8443 restore shop --at lsn:42 --to shop.img',
    );
    expect(undoCommand('rollback', at.server, ['shop', 'log'], 'lsn:41')).toBe(
      'hindsight --server https://vault.example:8443 rollback shop log --at lsn:41',
    );
    expect(undoCommand('recover', at.server, ['a'])).toBe(
      'hindsight --server https://vault.example:8443 volume remove a',
    );
    expect(undoCommand('view', at.server, ['a'])).toBeUndefined();
  });
});
