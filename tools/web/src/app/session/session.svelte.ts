// SPDX-License-Identifier: Apache-2.0
//
// Who is signed in, and what he may do. The cookie is the browser's; the page keeps the token against forged requests
// in memory only, and asks for it again after a reload.
import { api, ask, connectSession, type Schemas } from '../../api/client';
import { asApiError, type ApiError } from '../../api/error';

export type Right = 'operate' | 'restore' | 'seeData' | 'administer';

const kRoleOf: Record<Exclude<Right, 'seeData'>, string> = {
  operate: 'operator',
  restore: 'restorer',
  administer: 'admin',
};

class SessionStore {
  current = $state.raw<Schemas['Session']>();
  // Until it is known whether there is a session.
  isUnknown = $state(true);
  // Whether there was one that ended: the sign-in page says so.
  wasLost = $state(false);
  // Whether the first user is still to be made.
  isFirstStart = $state(false);
  problem = $state.raw<ApiError>();

  may(right: Right): boolean {
    if (this.current === undefined) return false;
    return right === 'seeData' ? this.current.sees_data : this.current.roles.includes(kRoleOf[right]);
  }

  async begin(): Promise<void> {
    this.problem = undefined;
    try {
      this.current = await ask(api.GET('/api/session'));
      this.wasLost = false;
    } catch (error) {
      const failure = asApiError(error);
      if (failure.status !== 401) {
        this.problem = failure;
        return;
      }
      await this.#askForFirstStart();
    }
    this.isUnknown = false;
  }

  async #askForFirstStart(): Promise<void> {
    try {
      this.isFirstStart = (await ask(api.GET('/api/setup'))).first_start;
    } catch {
      // Who signs in is told what is wrong.
      this.isFirstStart = false;
    }
  }

  async signIn(name: string, password: string): Promise<void> {
    this.current = await ask(api.POST('/api/session', { body: { name, password } }));
    this.wasLost = false;
    this.isFirstStart = false;
    this.isUnknown = false;
  }

  async signOut(): Promise<void> {
    await ask(api.DELETE('/api/session'));
    this.current = undefined;
    this.wasLost = false;
  }

  lost(): void {
    if (this.current === undefined) return;
    this.current = undefined;
    this.wasLost = true;
  }
}

export const session = new SessionStore();
connectSession({ csrfToken: () => session.current?.csrf_token ?? null, sessionLost: () => session.lost() });
