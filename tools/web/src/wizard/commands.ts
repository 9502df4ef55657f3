// SPDX-License-Identifier: Apache-2.0
//
// What is typed on a host to have at what was recovered: each a text to be copied as it is.
import type { Way } from './plan';

export type FileSystem = 'ext4' | 'xfs';

export interface Mounting {
  isReadOnly: boolean;
  // Whether there is an original beside it.
  isCopy: boolean;
}

const kWithoutJournal: Record<FileSystem, readonly string[]> = {
  ext4: ['noload'],
  xfs: ['norecovery'],
};

export interface Attachment {
  // Of the device, as the API names it.
  uri: string;
  // For the directory that it appears in.
  name: string;
  isReadOnly: boolean;
}

// Safe within single quotes of a shell.
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function plainName(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]/g, '-');
}

function isEncrypted(uri: string): boolean {
  return uri.startsWith('nbds');
}

// Where a point of a volume is served read-only, made of the volume's own address: shop@lsn:7.
export function viewUri(uri: string, volume: string, at: string): string {
  const begin = uri.lastIndexOf(`/${volume}`) + 1;
  return `${uri.slice(0, begin)}${volume}@${at}${uri.slice(begin + volume.length)}`;
}

// Where it leads: a host, or nothing for a socket of the appliance's own.
export function hostOf(uri: string): string | undefined {
  return /^nbds?:\/\/([^/?]+)/.exec(uri)?.[1];
}

// One that is to be reached from a host is better than one that is the appliance's alone.
export function bestUri(uris: readonly string[]): string | undefined {
  return uris.find(isEncrypted) ?? uris.find((uri) => !uri.includes('+unix:')) ?? uris[0];
}

function directoryOf(name: string): string {
  return `/run/hindsight-${plainName(name)}`;
}

export function attachCommand({ uri, name, isReadOnly }: Attachment): string {
  const directory = directoryOf(name);
  const readOnly = isReadOnly ? '--read-only ' : '';
  return [
    `sudo mkdir -p ${directory}`,
    // Where nbdfuse looks for them: it takes none by its URI.
    ...(isEncrypted(uri) ? ['sudo mkdir -p /etc/pki && sudo ln -sfn /etc/hindsight-tls /etc/pki/libnbd'] : []),
    `sudo nbdfuse ${isReadOnly ? '-r ' : ''}${directory}/disk ${quoted(uri)} &`,
    `until sudo test -e ${directory}/disk; do sleep 0.1; done`,
    `device=$(sudo losetup --find --show --partscan ${readOnly}${directory}/disk) && echo "$device"`,
  ].join('\n');
}

// A file system of a point is one whose power failed then: its journal is replayed by a mount that may write, and
// passed over by one that may not. A copy has the UUID of what it was copied from.
export function mountCommand(fileSystem: FileSystem, { isReadOnly, isCopy }: Mounting): string {
  const options: string[] = [];
  if (isReadOnly) options.push('ro', ...kWithoutJournal[fileSystem]);
  // XFS mounts no second one of the same UUID.
  if (fileSystem === 'xfs' && isCopy) options.push('nouuid');
  const chosen = options.length > 0 ? `-o ${options.join(',')} ` : '';
  return `sudo mount ${chosen}"$device" /mnt`;
}

export function signaturesCommand(): string {
  return 'sudo blkid -p "$device"; lsblk --fs "$device"';
}

// Changes nothing.
export function checkCommand(fileSystem: FileSystem): string {
  return fileSystem === 'ext4' ? 'sudo e2fsck -fn "$device"' : 'sudo xfs_repair -n "$device"';
}

export function detachCommand(name: string): string {
  return `sudo losetup --detach "$device" && sudo umount ${directoryOf(name)}`;
}

// For a copy that is to be used beside its original on one host.
export function newIdentityCommand(fileSystem: FileSystem): string {
  if (fileSystem === 'ext4') return 'sudo e2fsck -f "$device" && sudo tune2fs -U random "$device"';
  return 'sudo mount -o nouuid "$device" /mnt && sudo umount /mnt && sudo xfs_admin -U generate "$device"';
}

export interface Restored {
  server: string;
  volume: string;
  lsn: number;
}

const command = (server: string) => `hindsight --server ${server}`;

export function imageCommands({ server, volume, lsn }: Restored): { file: string; qcow2: string; pipe: string } {
  const restore = `${command(server)} restore ${volume} --at lsn:${lsn}`;
  return {
    file: `${restore} --to ${volume}.img`,
    qcow2: `${restore} --to ${volume}.qcow2 --format qcow2`,
    pipe: `${restore} --to - | nbdcopy - nbd://elsewhere/${volume}`,
  };
}

export function undoCommand(way: Way, server: string, volumes: readonly string[], undo?: string): string | undefined {
  if (way === 'rollback' && undo !== undefined) return `${command(server)} rollback ${volumes.join(' ')} --at ${undo}`;
  if (way === 'recover') return volumes.map((name) => `${command(server)} volume remove ${name}`).join('\n');
  if (way === 'clone') return volumes.map((name) => `${command(server)} clone remove ${name}`).join('\n');
  return undefined;
}
