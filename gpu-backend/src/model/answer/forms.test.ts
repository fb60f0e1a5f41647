import { describe, expect, it } from 'vitest';
import { llamaCppFile } from '../testing/llama-cpp-files.ts';
import { findMarks } from './forms.ts';

const THINK = { open: '<think>', close: '</think>' };
const BRACKETS = { open: '[THINK]', close: '[/THINK]' };

describe('the form of a model’s calls and thoughts', () => {
  it.each([
    ['Qwen-Qwen2.5-7B-Instruct', 'hermes', undefined],
    ['Qwen-Qwen3-0.6B', 'hermes', THINK],
    ['Qwen-QwQ-32B', 'hermes', THINK],
    ['NousResearch-Hermes-3-Llama-3.1-8B-tool_use', 'hermes', undefined],
    ['ibm-granite-granite-4.0', 'hermes', undefined],
    ['meta-llama-Llama-3.1-8B-Instruct', 'llama', undefined],
    ['meta-llama-Llama-3.2-3B-Instruct', 'llama', undefined],
    ['meta-llama-Llama-3.3-70B-Instruct', 'llama', undefined],
    ['mistralai-Mistral-Nemo-Instruct-2407', 'mistral', undefined],
    ['Mistral-Small-3.2-24B-Instruct-2506', 'mistral-args', undefined],
    ['mistralai-Ministral-3-14B-Reasoning-2512', 'mistral-args', BRACKETS],
    ['unsloth-mistral-Devstral-Small-2507', 'mistral-args', undefined],
    ['NVIDIA-Nemotron-Nano-v2', 'nemotron', THINK],
    ['NVIDIA-Nemotron-3-Nano-30B-A3B-BF16', 'xml', THINK],
    ['Qwen3-Coder', 'xml', undefined],
    ['Qwen3.5-4B', 'xml', THINK],
  ])('is known by its chat template: %s', (template, calls, thoughts) => {
    const marks = findMarks(llamaCppFile(`models/templates/${template}.jinja`).toString());
    expect(marks).toEqual({ ...(calls && { calls }), ...(thoughts && { thoughts }) });
  });

  it.each([
    'GLM-4.6',
    'deepseek-ai-DeepSeek-V3.1',
    'openai-gpt-oss-120b',
    'microsoft-Phi-3.5-mini-instruct',
    'google-gemma-2-2b-it',
    'CohereForAI-c4ai-command-r-plus-tool_use',
    'meetkai-functionary-medium-v3.2',
  ])('is not taken for another where it is none of these: %s', (template) => {
    expect(findMarks(llamaCppFile(`models/templates/${template}.jinja`).toString()).calls).toBeUndefined();
  });

  it('is what the operator says, where he does', () => {
    expect(findMarks('', 'nemotron')).toEqual({ calls: 'nemotron' });
    expect(findMarks('[TOOL_CALLS]', 'none')).toEqual({});
  });
});
